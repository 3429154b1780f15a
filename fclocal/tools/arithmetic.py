"""The numbers, constants and functions of the calculator. Every operation here is bounded in time and memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

Number: TypeAlias = Fraction | float

MAX_BITS = 13_000
MAX_FACTORIAL = 1000
# Below this a sine or cosine of an ordinary angle is rounding noise: sin(pi) is 1.2e-16 in floats.
_NOISE = 1e-15


class CannotCalculate(Exception):
    """Why an expression has no value, as a sentence."""


def bounded(value: Number) -> Number:
    """`value`, as a float when it is too long to stay exact. Raises CannotCalculate when it is too large."""
    if isinstance(value, Fraction):
        if value.denominator == 1 and value.numerator.bit_length() <= MAX_BITS:
            return value
        if value.numerator.bit_length() + value.denominator.bit_length() <= MAX_BITS // 4:
            return value
        value = as_float(value)
    if not math.isfinite(value):
        raise CannotCalculate("The result is too large.")
    return value


def as_float(value: Number) -> float:
    """The nearest float. Raises CannotCalculate when it is too large."""
    try:
        return float(value)
    except OverflowError:
        raise CannotCalculate("The result is too large.") from None


def divide(left: Number, right: Number) -> Number:
    """left / right."""
    _refuse_zero(right)
    return left / right


def floor_divide(left: Number, right: Number) -> Number:
    """left / right, rounded down."""
    _refuse_zero(right)
    return Fraction(math.floor(divide(left, right)))


def remainder(left: Number, right: Number) -> Number:
    """What is left of a division rounded down; has the sign of `right`."""
    _refuse_zero(right)
    return left % right


def power(base: Number, exponent: Number) -> Number:
    """base ** exponent, exact for whole exponents while it stays short."""
    if base == 0 and exponent < 0:
        raise CannotCalculate("Division by zero: zero to a negative power.")
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        if exponent.denominator == 1 and _power_bits(base, exponent.numerator) <= MAX_BITS:
            return base**exponent.numerator
        if exponent == Fraction(1, 2):
            return square_root(base)
    if base < 0 and exponent != math.floor(exponent):
        raise CannotCalculate(f"A negative number to the power of {float(exponent):g} is not a real number.")
    try:
        return math.pow(as_float(base), as_float(exponent))
    except OverflowError:
        raise CannotCalculate("The result is too large.") from None
    except ValueError:
        raise CannotCalculate("That power is not a real number.") from None


def _power_bits(base: Fraction, exponent: int) -> int:
    if abs(base.numerator) <= 1 and base.denominator == 1:
        return 0
    return max(base.numerator.bit_length(), base.denominator.bit_length()) * abs(exponent)


def square_root(value: Number) -> Number:
    """Exact where the root is rational."""
    if value < 0:
        raise CannotCalculate("The square root of a negative number is not a real number.")
    if isinstance(value, Fraction):
        top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if top * top == value.numerator and bottom * bottom == value.denominator:
            return Fraction(top, bottom)
    return math.sqrt(as_float(value))


def factorial(value: Number) -> Number:
    """n! of a whole number from 0 to MAX_FACTORIAL."""
    n = _whole(value, "factorial")
    if n < 0:
        raise CannotCalculate("The factorial of a negative number is not defined.")
    if n > MAX_FACTORIAL:
        raise CannotCalculate(f"The factorial of a number over {MAX_FACTORIAL:,} is too large.")
    return Fraction(math.factorial(n))


def _refuse_zero(value: Number) -> None:
    if value == 0:
        raise CannotCalculate("Division by zero.")


def _whole(value: Number, name: str) -> int:
    if value != round(value):
        raise CannotCalculate(f"{name} needs a whole number, not {float(value):g}.")
    return round(value)


def _round(value: Number, digits: Number = Fraction(0)) -> Number:
    """Rounded half away from zero, as taught at school."""
    places = _whole(digits, "round")
    if abs(places) > 300:
        raise CannotCalculate("round takes at most 300 decimals.")
    scale = Fraction(10) ** places
    exact = Fraction(repr(value)) if isinstance(value, float) else value
    size = Fraction(math.floor(abs(exact) * scale + Fraction(1, 2))) / scale
    return size if exact >= 0 else -size


def _logarithm(value: Number, base: Number | None = None) -> Number:
    """To base 10, or to the base given."""
    _refuse_log(value)
    if base is None or base == 10:
        return _exact_log(value, 10) or _log_of(value, math.log10)
    if base == 2:
        return _exact_log(value, 2) or _log_of(value, math.log2)
    _refuse_log(base)
    if base == 1:
        raise CannotCalculate("There is no logarithm to base 1.")
    return _log_of(value, math.log) / _log_of(base, math.log)


def _natural(value: Number) -> Number:
    _refuse_log(value)
    return _log_of(value, math.log)


def _exact_log(value: Number, base: int) -> Number | None:
    """The logarithm of a whole power of `base`, which floats may miss."""
    if not isinstance(value, Fraction):
        return None
    guess = round(_log_of(value, math.log) / math.log(base))
    return Fraction(guess) if abs(guess) < MAX_BITS and Fraction(base) ** guess == value else None


def _log_of(value: Number, log: Callable[[int | float], float]) -> float:
    if isinstance(value, Fraction):
        return log(value.numerator) - log(value.denominator)
    return log(value)


def _refuse_log(value: Number) -> None:
    if value <= 0:
        raise CannotCalculate("The logarithm of zero or a negative number is not defined.")


def _exp(value: Number) -> Number:
    return power(math.e, value)


def _sine(value: Number) -> Number:
    return _quiet(math.sin(as_float(value)), value)


def _cosine(value: Number) -> Number:
    return _quiet(math.cos(as_float(value)), value)


def _tangent(value: Number) -> Number:
    if _cosine(value) == 0:
        raise CannotCalculate("The tangent is not defined there.")
    return _quiet(math.tan(as_float(value)), value)


def _quiet(result: float, angle: Number) -> float:
    size = abs(as_float(angle))
    return 0.0 if 1e-3 < size < 1e6 and abs(result) < _NOISE * max(1.0, size) else result


def _float(name: str, compute: Callable[[float], float]) -> Callable[[Number], Number]:
    def checked(value: Number) -> Number:
        try:
            return compute(as_float(value))
        except ValueError:
            raise CannotCalculate(f"{name} is not defined for {float(value):g}.") from None
        except OverflowError:
            raise CannotCalculate("The result is too large.") from None

    return checked


def _of_whole(name: str, compute: Callable[..., int]) -> Callable[..., Number]:
    return lambda *values: Fraction(compute(*(_whole(value, name) for value in values)))


def _cube_root(value: Number) -> Number:
    nearest = Fraction(round(math.cbrt(as_float(value))))
    return nearest if nearest**3 == value else math.cbrt(as_float(value))


def _total(*values: Number) -> Number:
    total: Number = Fraction(0)
    for value in values:
        total = bounded(total + value)
    return total


@dataclass(frozen=True, slots=True)
class NamedFunction:
    """A function of the calculator and how many values it takes."""

    compute: Callable[..., Number]
    fewest: int = 1
    most: int = 1


CONSTANTS: dict[str, Number] = {"pi": math.pi, "e": math.e, "tau": math.tau}

FUNCTIONS: dict[str, NamedFunction] = {
    "sqrt": NamedFunction(square_root),
    "cbrt": NamedFunction(_cube_root),
    "abs": NamedFunction(abs),
    "exp": NamedFunction(_exp),
    "ln": NamedFunction(_natural),
    "log": NamedFunction(_logarithm, 1, 2),
    "log10": NamedFunction(_logarithm),
    "log2": NamedFunction(lambda value: _logarithm(value, Fraction(2))),
    "sin": NamedFunction(_sine),
    "cos": NamedFunction(_cosine),
    "tan": NamedFunction(_tangent),
    "asin": NamedFunction(_float("asin", math.asin)),
    "acos": NamedFunction(_float("acos", math.acos)),
    "atan": NamedFunction(_float("atan", math.atan)),
    "atan2": NamedFunction(lambda y, x: math.atan2(as_float(y), as_float(x)), 2, 2),
    "sinh": NamedFunction(_float("sinh", math.sinh)),
    "cosh": NamedFunction(_float("cosh", math.cosh)),
    "tanh": NamedFunction(_float("tanh", math.tanh)),
    "radians": NamedFunction(_float("radians", math.radians)),
    "degrees": NamedFunction(_float("degrees", math.degrees)),
    "floor": NamedFunction(lambda value: Fraction(math.floor(value))),
    "ceil": NamedFunction(lambda value: Fraction(math.ceil(value))),
    "trunc": NamedFunction(lambda value: Fraction(math.trunc(value))),
    "round": NamedFunction(_round, 1, 2),
    "factorial": NamedFunction(factorial),
    "min": NamedFunction(min, 1, 100),
    "max": NamedFunction(max, 1, 100),
    "sum": NamedFunction(_total, 1, 100),
    "mean": NamedFunction(lambda *values: _total(*values) / len(values), 1, 100),
    "hypot": NamedFunction(lambda *values: square_root(_total(*(value * value for value in values))), 1, 100),
    "gcd": NamedFunction(_of_whole("gcd", math.gcd), 1, 100),
    "lcm": NamedFunction(_of_whole("lcm", math.lcm), 1, 100),
    "mod": NamedFunction(remainder, 2, 2),
    "pow": NamedFunction(power, 2, 2),
}
FUNCTIONS |= {
    "average": FUNCTIONS["mean"],
    "avg": FUNCTIONS["mean"],
    "ceiling": FUNCTIONS["ceil"],
    "fact": FUNCTIONS["factorial"],
}
FUNCTIONS |= {"arcsin": FUNCTIONS["asin"], "arccos": FUNCTIONS["acos"], "arctan": FUNCTIONS["atan"]}

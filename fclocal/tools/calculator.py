"""Evaluate arithmetic as people and models write it. Bounded: knows no names but its own and runs no Python.

    sum     := product (("+" | "-") product)*          a percentage on the right is one of the left: 200 + 10% is 220
    product := sign (("*" | "/" | "//" | "%") sign)*    also side by side: 2(3 + 4), 2 pi
    sign    := ("+" | "-")* power
    power   := postfix (("**" | "^") sign)?
    postfix := atom ("!" | "%" | "°")*
    atom    := NUMBER | CONSTANT | FUNCTION "(" sum ("," sum)* ")" | FUNCTION power | "(" sum ")"

Rational numbers are exact; the rest are floats.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from fclocal.tools.arithmetic import (
    CONSTANTS,
    FUNCTIONS,
    CannotCalculate,
    Number,
    bounded,
    divide,
    factorial,
    floor_divide,
    power,
    remainder,
)
from fclocal.tools.expression import Token, tokenize

MAX_DEPTH = 50


def calculate(expression: str) -> Number:
    """The value of `expression`. Raises CannotCalculate with a sentence."""
    return _Parser(tokenize(expression)).whole()


class _Parser:
    """Recursive descent over the grammar above; evaluates as it goes."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def whole(self) -> Number:
        value = self._sum()
        if self._next.kind != "end":
            raise CannotCalculate(f"{self._next.text!r} is not expected at character {self._next.at + 1}.")
        return value

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self, *texts: str) -> Token | None:
        token = self._next
        if token.kind != "sign" or token.text not in texts:
            return None
        self._at += 1
        return token

    def _sum(self) -> Number:
        value = self._product()
        while (sign := self._take("+", "-")) is not None:
            start = self._at
            right = self._product()
            if self._was_percentage(start):
                right = bounded(value * right)
            value = bounded(value + right if sign.text == "+" else value - right)
        return value

    def _was_percentage(self, start: int) -> bool:
        """Whether the operand that began at token `start` was a bare percentage, as in `200 + 10%`."""
        return (
            self._at - start == 2 and self._tokens[start].kind == "number" and self._tokens[start + 1].text == "percent"
        )

    def _product(self) -> Number:
        value = self._sign()
        while True:
            if (sign := self._take("*", "/", "//", "mod")) is not None:
                value = bounded(_PRODUCTS[sign.text](value, self._sign()))
            elif self._next.kind in ("number", "name") or self._next.text == "(":
                if self._next.kind == "number" and self._tokens[self._at - 1].kind == "number":
                    raise CannotCalculate(
                        f"There is no operator between {self._tokens[self._at - 1].text} and {self._next.text}."
                    )
                value = bounded(value * self._power())
            else:
                return value

    def _sign(self) -> Number:
        negative = False
        while (sign := self._take("+", "-")) is not None:
            negative ^= sign.text == "-"
        value = self._power()
        return -value if negative else value

    def _power(self) -> Number:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise CannotCalculate(f"The expression is nested more than {MAX_DEPTH} levels deep.")
        value = self._postfix()
        if self._take("**") is not None:
            value = bounded(power(value, self._sign()))
        self._depth -= 1
        return value

    def _postfix(self) -> Number:
        value = self._atom()
        while (sign := self._take("!", "percent", "°")) is not None:
            if sign.text == "!":
                value = bounded(factorial(value))
            elif sign.text == "percent":
                value = bounded(value / 100)
            else:
                value = math.radians(value)
        return value

    def _atom(self) -> Number:
        token = self._next
        self._at += 1
        if token.kind == "number":
            return token.value
        if token.kind == "name":
            return CONSTANTS[token.text] if token.text in CONSTANTS else self._function(token.text)
        if token.kind == "sign" and token.text == "(":
            value = self._sum()
            self._close()
            return value
        if token.kind == "end":
            raise CannotCalculate("The expression ends too early.")
        raise CannotCalculate(f"{token.text!r} is not expected at character {token.at + 1}.")

    def _function(self, name: str) -> Number:
        if self._take("(") is None:
            values = [self._power()]
        else:
            values = [self._sum()]
            while self._take(",") is not None:
                values.append(self._sum())
            self._close()
        function = FUNCTIONS[name]
        if not function.fewest <= len(values) <= function.most:
            wants = f"{function.fewest}" if function.fewest == function.most else f"{function.fewest} or more"
            raise CannotCalculate(f"{name} takes {wants} values, not {len(values)}.")
        return bounded(function.compute(*values))

    def _close(self) -> None:
        if self._take(")") is None:
            raise CannotCalculate("A closing parenthesis is missing.")


_PRODUCTS: dict[str, Callable[[Number, Number], Number]] = {
    "*": lambda left, right: left * right,
    "/": divide,
    "//": floor_divide,
    "mod": remainder,
}


def written(value: Number) -> str:
    """`value` as a JSON number: integers and short decimals exactly, others without the noise of floats.

    A fraction with at most 30 digits is written in full, any other number as the nearest float. A float that is within
    15 digits of a number of at most 12 is that number.
    """
    if isinstance(value, float):
        near = f"{value:.15g}"
        return _tidy(float(near) if len(near.partition("e")[0].strip("-0.").replace(".", "")) <= 12 else value)
    if value.denominator == 1:
        return str(value.numerator)
    decimals = _decimals(value.denominator)
    if decimals is not None and decimals <= 30 and abs(value.numerator) < 10**30:
        digits = str(abs(value.numerator) * 10**decimals // value.denominator).rjust(decimals + 1, "0")
        if len(digits) <= 30:
            return f"{'-' if value < 0 else ''}{digits[:-decimals]}.{digits[-decimals:]}"
    return _tidy(float(value))


def _tidy(number: float) -> str:
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _decimals(denominator: int) -> int | None:
    """Digits after the point that 1/denominator needs, or None when they never end."""
    twos = fives = 0
    while denominator % 2 == 0:
        denominator //= 2
        twos += 1
    while denominator % 5 == 0:
        denominator //= 5
        fives += 1
    return max(twos, fives) if denominator == 1 else None

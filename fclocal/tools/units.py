"""Convert values between units of measurement. Knows spellings and factors of units.toml, exact as fractions."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from functools import cache

from fclocal.paths import package_file

MAX_LENGTH = 60
MAX_VALUE = 1e300

_SYMBOLS = {"q": -30, "r": -27, "y": -24, "z": -21, "a": -18, "f": -15, "p": -12, "n": -9, "µ": -6, "μ": -6, "u": -6}
_SYMBOLS |= {"m": -3, "c": -2, "d": -1, "da": 1, "h": 2, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18, "Z": 21}
_SYMBOLS |= {"Y": 24, "R": 27, "Q": 30}
_WORDS = {"quecto": -30, "ronto": -27, "yocto": -24, "zepto": -21, "atto": -18, "femto": -15, "pico": -12, "nano": -9}
_WORDS |= {"micro": -6, "milli": -3, "centi": -2, "deci": -1, "deca": 1, "deka": 1, "hecto": 2, "kilo": 3, "mega": 6}
_WORDS |= {"giga": 9, "tera": 12, "peta": 15, "exa": 18, "zetta": 21, "yotta": 24, "ronna": 27, "quetta": 30}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60, "Zi": 70, "Yi": 80}
_BINARY |= {"kibi": 10, "mebi": 20, "gibi": 30, "tebi": 40, "pebi": 50, "exbi": 60, "zebi": 70, "yobi": 80}
_ZEROS = {"C": Fraction("273.15"), "F": Fraction("459.67") * Fraction(5, 9)}
_POWER_WORDS = {"square": 2, "sq": 2, "sq.": 2, "cubic": 3, "cu": 3, "cu.": 3}
_RAISED = re.compile(r"(.+?)\s*(?:\^|\*\*)?\s*([23])")
_PER = re.compile(r"\s*/\s*|\s+per\s+|(?<=[a-z])p(?=s$)", re.IGNORECASE)


class CannotConvert(Exception):
    """Why a value has no form in another unit, as a sentence."""


@dataclass(frozen=True, slots=True)
class Unit:
    """`value * factor + zero` is the value in the first unit of the dimension; `zero` is 0 but for temperatures."""

    dimension: str
    factor: Fraction
    zero: Fraction = Fraction(0)


def convert(value: float, from_unit: str, to_unit: str) -> int | float:
    """`value` in the other unit, exact when it is short, else with four decimals (five digits below 1).

    Raises CannotConvert naming an unknown unit with the nearest known one, or both units when they do not fit.
    """
    if not -MAX_VALUE <= value <= MAX_VALUE:
        raise CannotConvert(f"The value is out of range: at most {MAX_VALUE:g} can be converted.")
    source, target = _pair(from_unit, to_unit)
    base = Fraction(str(value)) * source.factor + source.zero
    if source.dimension == "temperature" and base < 0:
        raise CannotConvert(f"{value:g} {from_unit} is below absolute zero.")
    return shown((base - target.zero) / target.factor)


def shown(value: Fraction) -> int | float:
    """A number that is short to read: whole, exact with at most ten digits, or rounded."""
    if value.denominator == 1 and abs(value) < 10**15:
        return value.numerator
    try:
        number = float(value)
    except OverflowError:
        raise CannotConvert("The converted value is too large.") from None
    if Fraction(short := f"{number:.10g}") == value:
        return float(short)
    rounded = round(number, 4) if abs(number) >= 1 else float(f"{number:.5g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def _pair(from_text: str, to_text: str) -> tuple[Unit, Unit]:
    """The two units, read so that they measure the same thing where that is possible."""
    sources, targets = units_named(from_text), units_named(to_text)
    for source in sources:
        for target in targets:
            if source.dimension == target.dimension:
                return source, target
    unknown = [text for text, found in ((from_text, sources), (to_text, targets)) if not found]
    if unknown:
        raise CannotConvert(" ".join(_unknown(text) for text in dict.fromkeys(unknown)))
    one, other = sources[0].dimension, targets[0].dimension
    raise CannotConvert(f"Cannot convert {from_text} ({one}) to {to_text} ({other}): they measure different things.")


def units_named(text: str) -> list[Unit]:
    """Every unit that `text` can mean, the likeliest first; empty when it means none."""
    name = re.sub(r"\s+", " ", text.strip().replace("²", "2").replace("³", "3").replace("_", " "))
    if not name or len(name) > MAX_LENGTH:
        return []
    name = re.sub(r"^(?:an?|the) ", "", name, flags=re.IGNORECASE)
    name = re.sub(r"(?<=[a-z])-(?=[a-z])", " ", name, flags=re.IGNORECASE)
    found = [*_plain(name), *_raised(name), *_quotient(name)]
    if not found and name.endswith("."):
        found = units_named(name[:-1])
    return list(dict.fromkeys(found))


def _plain(name: str) -> list[Unit]:
    exact, folded = _index()
    found = list(exact.get(name, ()))
    for spelling in dict.fromkeys((name.casefold(), name.casefold().replace(" ", ""))):
        found += folded.get(spelling, ())
    return found


def _raised(name: str) -> list[Unit]:
    """Areas and volumes made of lengths: square metres, sq ft, m2, cm^3, metres squared."""
    first, _, rest = name.partition(" ")
    rest, power = rest, _POWER_WORDS.get(first.casefold(), 0)
    ending = re.fullmatch(r"(.+) (squared|cubed)", name, re.IGNORECASE)
    if ending is not None:
        rest, power = ending[1], 2 if ending[2].casefold() == "squared" else 3
    elif not power and (symbol := _RAISED.fullmatch(name)) is not None:
        rest, power = symbol[1], int(symbol[2])
    if not power:
        return []
    dimension, scale = ("area", 1) if power == 2 else ("volume", 1000)
    return [Unit(dimension, unit.factor**power * scale) for unit in _plain(rest) if unit.dimension == "length"]


def _quotient(name: str) -> list[Unit]:
    """Speeds and data rates: km/h, miles per hour, MB/s."""
    parts = _PER.split(name)
    if len(parts) != 2:
        return []
    made = {"length": "speed", "data": "data rate"}
    times = [unit for unit in _plain(parts[1].strip()) if unit.dimension == "time"]
    tops = [unit for unit in _plain(parts[0].strip()) if unit.dimension in made]
    return [Unit(made[top.dimension], top.factor / times[0].factor) for top in tops if times]


def _unknown(text: str) -> str:
    _, folded = _index()
    shown_text = text.strip()[:40]
    near = get_close_matches(shown_text.casefold(), folded, 1, 0.75) if len(shown_text) > 3 else []
    return f"Unknown unit {shown_text!r}." + (f" Did you mean {near[0]}?" if near else "")


@cache
def _index() -> tuple[Mapping[str, tuple[Unit, ...]], Mapping[str, tuple[Unit, ...]]]:
    """Spelling -> units, as written and with case folded."""
    exact: dict[str, list[Unit]] = {}
    folded: dict[str, list[Unit]] = {}
    late: list[tuple[str, Unit]] = []
    table = tomllib.loads(package_file("tools/units.toml").read_text("utf-8"))
    for dimension, units in table.items():
        for symbol, (factor, *spellings) in units.items():
            unit = Unit(
                dimension,
                _fraction(factor),
                _ZEROS.get(symbol, Fraction(0)) if dimension == "temperature" else Fraction(0),
            )
            for spelling in spellings:
                for name, named in _spelled(spelling, unit):
                    exact.setdefault(name, []).append(named)
                    late.append((name, named))
    for name, unit in sorted(late, key=lambda entry: entry[1].factor < 1):
        folded.setdefault(name.casefold(), []).append(unit)
    return {key: tuple(units) for key, units in exact.items()}, {key: tuple(units) for key, units in folded.items()}


def _spelled(spelling: str, unit: Unit) -> Iterable[tuple[str, Unit]]:
    """Every way to write a unit that one entry of the table stands for."""
    if spelling.startswith("i+"):
        name = spelling[2:]
        for prefix, power in _BINARY.items():
            if _is_symbol(name) if len(prefix) == 2 else len(name) > 2:
                yield from _numbers(prefix + name, Unit(unit.dimension, unit.factor * 2**power))
        return
    name = spelling.removeprefix("+")
    yield from _numbers(name, unit)
    if name == spelling:
        return
    for prefix, power in _prefixes(name, unit.dimension):
        yield from _numbers(prefix + name, Unit(unit.dimension, unit.factor * Fraction(10) ** power))


def _prefixes(name: str, dimension: str) -> Iterable[tuple[str, int]]:
    """Decimal prefixes that go before `name`: letters before symbols, words before words."""
    if dimension in ("data", "data rate"):
        letters = "KMGTPEZY" if name.startswith("b") and name != "bit" else "kKMGTPEZY"
        yield from ((letter, _SYMBOLS[letter.replace("K", "k")]) for letter in letters if _is_symbol(name))
    elif _is_symbol(name):
        yield from _SYMBOLS.items()
    if len(name) > 2:
        yield from _WORDS.items()


def _is_symbol(name: str) -> bool:
    return len(name) <= 3 or name == "W h"


def _numbers(name: str, unit: Unit) -> Iterable[tuple[str, Unit]]:
    yield name, unit
    if len(name) < 3 or name.endswith("s") or not name.isascii():
        return
    yield name + "s", unit
    first, of, rest = name.partition(" of ")
    head, per, tail = name.partition(" per ")
    if of or per:
        yield f"{first}s of {rest}" if of else f"{head}s per {tail}", unit


def _fraction(text: str) -> Fraction:
    top, _, bottom = text.partition("/")
    return Fraction(top) / Fraction(bottom or "1")

"""Evidence for numbers, and for expressions made of them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from functools import partial

from fclocal.chat.evidence import Evidence, Leaf, first, weakest
from fclocal.chat.folding import spelled, stem
from fclocal.chat.heard import Heard
from fclocal.chat.phrases import find_exact
from fclocal.chat.units import close, converted, factors_of, kind_of

_ONE = re.compile(r"\b(?:just me|only me|by myself|alone|myself|for me|on my own)\b")
_ARTICLE = re.compile(r"\b(?:a|an|the|this|that|my|one|another)\s+(?:\w+\s+)?(\w+)")
_NOTHING = re.compile(r"\b(?:no|none|without|free|never|zero|nothing)\b")
_BOUND = re.compile(r"\b(?:over|under|above|below|more|less|fewer|greater|before|after|until|beyond|than|exceed\w*)\b")
_LETTERS = re.compile(r"[a-z]+\d*")
_LITERAL = re.compile(r"(?<![a-z_\d.])\d+(?:\.\d+)?(?:e[+-]?\d+)?")
_EXPRESSION = re.compile(r"[\d\s+\-*/^().,%!a-z×÷·√π=]+")
# Function or constant in an expression -> words that ask for it.
_FUNCTIONS = {
    "sqrt": "root sqrt √",
    "cbrt": "root cube",
    "pi": "pi circle sphere cylinder cone radius diameter circumference",
    "sin": "sin sine",
    "cos": "cos cosine",
    "tan": "tan tangent",
    "log": "log logarithm ln",
    "ln": "ln log logarithm natural",
    "exp": "exp exponential e",
    "e": "e exponential euler",
    "abs": "absolute abs difference magnitude",
    "factorial": "factorial permutation",
    "round": "round nearest",
    "floor": "floor round whole",
    "ceil": "ceil round whole",
    "pow": "power pow squared cubed raised",
    "mod": "mod modulo remainder",
    "max": "max maximum largest biggest highest",
    "min": "min minimum smallest lowest",
    "mean": "mean average",
    "sum": "sum total add plus",
}
_ALIKE = {"log2": "log", "log10": "log", "asin": "sin", "acos": "cos", "atan": "tan", "math": "", "ceiling": "ceil"}
# Number in an expression -> words that stand for it.
_CONSTANTS = {
    2: "square squared double twice half halved area circle mean average hypotenuse split circumference",
    3: "cube cubed triple third sphere volume",
    4: "quarter quadruple sphere",
    0.5: "half halved square root triangle",
    100: "percent percentage cents",
    180: "degrees",
    12: "month year annual dozen monthly",
}
_PERCENT = re.compile(r"%|\bpercent|\bper cent\b")


def find_number(value: int | float, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    """Evidence for a number: said as it is, or following from an amount, a date or an article."""
    return first(heard, lambda message: _said(value, message) or _follows(value, leaf, message))


def is_expression(text: str) -> bool:
    """Whether `text` is an arithmetic expression with at least one number in it."""
    lowered = text.lower()
    if not _EXPRESSION.fullmatch(lowered) or not _LITERAL.search(lowered):
        return False
    if any(name not in _FUNCTIONS and name not in _ALIKE for name in _LETTERS.findall(lowered)):
        return False
    return re.search(r"[+*/^%!×÷·√]|\w\s*-|\w\(|-\s*\d", lowered) is not None


def find_expression(text: str, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    """Evidence for an expression: every number in it was said, or belongs to what is asked for."""
    lowered = text.lower()
    said: list[Evidence] = []
    loose: list[Evidence] = []
    for value in map(float, _LITERAL.findall(lowered)):
        found = first(heard, partial(_said_or_percent, value))
        constant = None if found and found.said else first(heard, partial(_constant, value))
        if found is None and constant is None:
            return None
        (said if found else loose).extend(one for one in (found or constant,) if one)
    for name in _LETTERS.findall(lowered):
        wanted = _FUNCTIONS.get(_ALIKE.get(name, name), "")
        if (
            wanted
            and first(heard, partial(_any_word, wanted)) is None
            and first(heard, partial(_literally, name)) is None
        ):
            loose += said[:1]
    if not said:
        return None
    return weakest([*said, *(one.implied for one in loose)])


def _literally(name: str, message: Heard) -> tuple[int, int, bool] | None:
    found = find_exact(name, message)
    return (*found, True) if found else None


def _said_or_percent(value: float, message: Heard) -> tuple[int, int, bool] | None:
    return _said(value, message) or _percent(value, message)


def _said(value: float, message: Heard) -> tuple[int, int, bool] | None:
    """The number itself, or another reading of the words."""
    other = None
    for said in message.numbers:
        if said.value == value:
            if said.exact:
                return said.start, said.end, True
            other = other or (said.start, said.end, False)
    if other is None and not message.whole and (found := find_exact(f"{value:.15g}", message)):
        return (*found, True)
    return other


def _follows(value: float, leaf: Leaf, message: Heard) -> tuple[int, int, bool] | None:
    """A number that follows from something else that was said."""
    return next(_implied(value, leaf, message), None)


def _implied(value: float, leaf: Leaf, message: Heard) -> Iterator[tuple[int, int, bool]]:
    for quantity in message.quantities:
        if any(close(value, amount) for amount in converted(quantity.amount, quantity.kind)):
            yield quantity.start, quantity.end, False
    for said in message.numbers:
        if value == -said.value or _rounded(value, said.value):
            yield said.start, said.end, False
        if abs(value - said.value) == 1 and _BOUND.search(message.text, max(0, said.start - 15), said.start):
            yield said.start, said.end, False
    yield from _calendar(value, leaf, message)
    if value == 1:
        yield from _one(leaf, message)
    if value == 0 and (none := _NOTHING.search(message.text[: message.limit])) and _near(none.end(), leaf, message):
        yield none.start(), none.end(), False


def _rounded(value: float, said: float) -> bool:
    """Whether `value` is a longer number that was said, rounded."""
    if isinstance(said, int) or not math.isfinite(said):
        return False
    return any(round(said, digits) == value for digits in range(4))


def _calendar(value: float, leaf: Leaf, message: Heard) -> Iterator[tuple[int, int, bool]]:
    """Day, month or year of a date that was said, an hour or minute, or the days between two dates."""
    if not float(value).is_integer():
        return
    parts = leaf.about & {"day", "month", "year"}
    for said in message.dates if parts else ():
        if any(getattr(day, part) == value for day in said.days for part in parts):
            yield said.start, said.end, False
    for time in message.times if leaf.about & {"hour", "minut"} else ():
        if any(value in divmod(minutes, 60) for minutes in time.minutes):
            yield time.start, time.end, False
    if leaf.about & {"night", "day", "duration", "length", "stay", "durat"} and 0 < value < 400:
        dates = message.dates
        for one in dates[:20]:
            for other in dates[:20]:
                if any((later - earlier).days == value for earlier in one.days for later in other.days):
                    yield min(one.start, other.start), max(one.end, other.end), False


def _one(leaf: Leaf, message: Heard) -> Iterator[tuple[int, int, bool]]:
    """ "a ticket" for tickets, "just me" for people."""
    if leaf.about & {"person", "guest", "passeng", "passenger", "travel", "traveler", "adult", "seat", "ticket"}:
        yield from ((match.start(), match.end(), False) for match in _ONE.finditer(message.text[: message.limit]))
    for match in _ARTICLE.finditer(message.text[: message.limit]):
        words = match.group().split()[1:]
        if any(stem(word) in leaf.nouns for word in words):
            yield match.start(), match.end(), False


def _near(end: int, leaf: Leaf, message: Heard) -> bool:
    words = re.findall(r"\w+", message.text[end : end + 30])[:2]
    return any(stem(word) in leaf.about for word in words)


def _percent(value: float, message: Heard) -> tuple[int, int, bool] | None:
    """1.15 or 0.85 for 15 percent more or less."""
    for said in message.numbers:
        share = said.value / 100
        if 0 < share < 1 and (close(value, 1 + share) or close(value, 1 - share)):
            after = message.text[said.end : said.end + 10]
            if _PERCENT.match(after.strip()) or _PERCENT.search(message.text[said.start : said.end]):
                return said.start, said.end, False
    return None


def _constant(value: float, message: Heard) -> tuple[int, int, bool] | None:
    """A number that the words stand for: 2 for "squared", 60 between units of time, the count for an average."""
    if value in _CONSTANTS and (found := _any_word(_CONSTANTS[value], message)):
        return found
    if value == 100 and (percent := _PERCENT.search(message.text)):
        return percent.start(), percent.end(), False
    if value == sum(said.exact for said in message.numbers) and (found := _any_word("average mean", message)):
        return found
    if value == 1 and message.numbers:
        said = message.numbers[0]
        return said.start, said.end, False
    for word in message.words[:400]:
        kind = kind_of(word.text) if len(word.text) > 2 else None
        if kind and value in factors_of(kind):
            return word.start, word.end, False
    return None


def _any_word(wanted: str, message: Heard) -> tuple[int, int, bool] | None:
    for one in map(stem, spelled(wanted)):
        if one in message.stems:
            word = message.words[message.stems[one]]
            return word.start, word.end, False
    return None

"""What a value may look like once a schema is taken apart: plain shapes that a grammar can spell out.

Shapes are finite in depth and may share parts. Each knows its extent.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from fclocal.functions import Json

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Extent:
    """`least` is a shortest value, `size` the bytes of its JSON text, `closing` an upper bound of the bytes that end a
    value from any point inside it."""

    least: Json
    size: int
    closing: int


@dataclass(frozen=True, slots=True, eq=False)
class Literals:
    """One of these values."""

    values: tuple[Json, ...]
    extent: Extent


@dataclass(frozen=True, slots=True, eq=False)
class Number:
    """A number between two bounds (each may be None or left out); `step` is what it is a multiple of, or None.

    `wanted_step` is what it should be a multiple of where only the check can tell.
    """

    whole: bool
    low: Decimal | None
    high: Decimal | None
    low_open: bool
    high_open: bool
    step: Decimal | None
    extent: Extent
    wanted_step: Decimal | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A string of `shortest` to `longest` characters in which every one of `patterns` is found."""

    shortest: int
    longest: int
    patterns: tuple[str, ...]
    extent: Extent


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """A list: `first` in their places, then `rest`; at least `shortest` and at most `longest` items.

    With `unique` all are different values of `rest`, which is then Literals, and there is no `first`. With `match`, at
    least `matches` items after `first` stand side by side and are of that shape.
    """

    first: tuple[Shape, ...]
    rest: Shape | None
    shortest: int
    longest: int
    unique: bool
    match: Shape | None
    matches: int
    extent: Extent


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A key of an object and its value."""

    key: str
    shape: Shape
    required: bool


@dataclass(frozen=True, slots=True, eq=False)
class Extra:
    """Undeclared keys and their values."""

    key: Shape
    value: Shape


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """An object: members in this order, then extras; at least `fewest` and at most `most` keys in all."""

    members: tuple[Member, ...]
    extras: tuple[Extra, ...]
    fewest: int
    most: int | None
    extent: Extent


@dataclass(frozen=True, slots=True, eq=False)
class Either:
    """Any one of these shapes."""

    options: tuple[Shape, ...]
    extent: Extent


Shape: TypeAlias = Literals | Number | Text | Items | Fields | Either


def dump(value: Json) -> str:
    """JSON text with the separators that every grammar here writes; halves of surrogate pairs stay escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    return text if text.isascii() or _SURROGATE.search(text) is None else json.dumps(value)


def length(value: Json) -> int:
    """Bytes of the JSON text of `value`."""
    return len(dump(value).encode("utf-8", "surrogatepass"))

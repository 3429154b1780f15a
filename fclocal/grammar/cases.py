"""One way to satisfy a conjunction of schemas: everything they say about each kind of value, side by side."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from fclocal.functions import Json
from fclocal.grammar.source import Conjunction, Place

KINDS = frozenset({"null", "boolean", "number", "string", "array", "object"})


@dataclass(frozen=True, slots=True)
class ListPart:
    """What one schema says of items: `first` in their places, `rest` of all others (None: nothing)."""

    first: Conjunction
    rest: Place | None
    chain: Conjunction


@dataclass(frozen=True, slots=True)
class ObjectPart:
    """What one schema says of keys: by name, by pattern, and of all others (None: nothing)."""

    properties: Mapping[str, Place | None]
    patterns: Mapping[str, Place | None]
    others: Place | None
    chain: Conjunction


@dataclass(frozen=True, slots=True)
class Contains:
    """At least `fewest` (and at most `most`) items of a list are as `place` says."""

    place: Place
    fewest: int
    most: int | None


@dataclass(slots=True)
class Case:
    """A conjunction without any choice left in it. `left` maps pointers to keywords that it could not take in."""

    kinds: frozenset[str] = KINDS
    whole: bool = False
    values: tuple[Json, ...] | None = None
    excluded: tuple[Json, ...] = ()
    low: Decimal | None = None
    high: Decimal | None = None
    low_open: bool = False
    high_open: bool = False
    steps: tuple[Decimal, ...] = ()
    shortest: int = 0
    longest: int | None = None
    patterns: tuple[tuple[str, str], ...] = ()
    formats: tuple[tuple[str, str], ...] = ()
    fewest_items: int = 0
    most_items: int | None = None
    unique: str | None = None
    contains: tuple[Contains, ...] = ()
    lists: tuple[ListPart, ...] = ()
    fewest_keys: int = 0
    most_keys: int | None = None
    required: dict[str, None] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    names: Conjunction = ()
    objects: tuple[ObjectPart, ...] = ()
    places: Conjunction = ()
    chains: dict[int, Conjunction] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    def fork(self) -> Case:
        """A copy that can go its own way."""
        return replace(self, required=dict(self.required), chains=dict(self.chains), left=dict(self.left))

    def only(self, kinds: Iterable[str]) -> None:
        """Leave only these kinds of value."""
        self.kinds &= frozenset(kinds)

    def among(self, values: Sequence[Json]) -> None:
        """Leave only these values."""
        if self.values is None:
            self.values = tuple(values)
            return
        wanted = {key(value) for value in values}
        self.values = tuple(value for value in self.values if key(value) in wanted)

    def at_least(self, bound: int | float, *, excluded: bool) -> None:
        """Raise the lower bound of numbers."""
        number = Decimal(str(bound))
        if self.low is None or number > self.low:
            self.low, self.low_open = number, excluded
        elif number == self.low:
            self.low_open = self.low_open or excluded

    def at_most(self, bound: int | float, *, excluded: bool) -> None:
        """Lower the upper bound of numbers."""
        number = Decimal(str(bound))
        if self.high is None or number < self.high:
            self.high, self.high_open = number, excluded
        elif number == self.high:
            self.high_open = self.high_open or excluded

    def drop_impossible(self) -> None:
        """Take out the kinds of value whose bounds contradict each other."""
        if self.low is not None and self.high is not None:
            edge = self.low == self.high and (self.low_open or self.high_open)
            if self.low > self.high or edge:
                self.kinds -= {"number"}
        if _crossed(self.shortest, self.longest):
            self.kinds -= {"string"}
        if _crossed(self.fewest_items, self.most_items):
            self.kinds -= {"array"}
        if _crossed(self.fewest_keys, self.most_keys) or self.absent & self.required.keys():
            self.kinds -= {"object"}
        if self.values is not None:
            self.values = tuple(value for value in self.values if kind(value) in self.kinds and self._fits(value))
            self.only(kind(value) for value in self.values)

    def _fits(self, value: Json) -> bool:
        if self.whole and isinstance(value, float) and not value.is_integer():
            return False
        return not self.excluded or key(value) not in {key(entry) for entry in self.excluded}


def kind(value: Json) -> str:
    """The JSON type of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case Mapping():
            return "object"
        case _:
            return "array"


def key(value: Json) -> str:
    """A text that is the same for equal JSON values, and for no others: 1 and 1.0 are equal, 1 and true are not."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Json) -> Json:
    match value:
        case float() if value.is_integer():
            return int(value)
        case Mapping():
            return {name: _plain(entry) for name, entry in value.items()}
        case str() | bool() | int() | float() | None:
            return value
        case _:
            return [_plain(entry) for entry in value]


def _crossed(low: int, high: int | None) -> bool:
    return high is not None and low > high

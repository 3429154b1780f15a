"""Plans: what to write for each kind of value, with the schemas of inner values still unread."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from fclocal.functions import Json
from fclocal.grammar.cases import Case
from fclocal.grammar.negate import EXCLUDED
from fclocal.grammar.source import Conjunction


@dataclass(frozen=True, slots=True, eq=False)
class LiteralPlan:
    """Constants; never equal to others, because Python holds 1 and True for the same."""

    values: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class NumberPlan:
    """Numbers in one range; `step` None or what they are multiples of, stated at `pointer`."""

    whole: bool
    low: Decimal | None
    high: Decimal | None
    low_open: bool
    high_open: bool
    step: Decimal | None
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class TextPlan:
    """Strings; each of `patterns` comes with the pointer and keyword that it stands for.

    `pointer` is where the lengths are stated; `capped` says that `longest` is a limit of ours.
    """

    shortest: int
    longest: int
    patterns: tuple[tuple[str, str, str], ...]
    pointer: str = ""
    capped: bool = False


@dataclass(frozen=True, slots=True)
class ListPlan:
    """Lists: `first` in their places, then `rest` (None: nothing more). `unique` is the pointer of `uniqueItems`;
    `matches` items are as `match` says."""

    first: tuple[Conjunction, ...]
    rest: Conjunction | None
    shortest: int
    longest: int
    unique: str | None
    match: Conjunction | None
    matches: int
    pointer: str


@dataclass(frozen=True, slots=True)
class ObjectPlan:
    """Objects: members (key, value, required), then undeclared keys and their values; `spare` ones are not meant and
    come in only where the members are too few."""

    members: tuple[tuple[str, Conjunction, bool], ...]
    extras: tuple[tuple[TextPlan, Conjunction], ...]
    spare: tuple[tuple[TextPlan, Conjunction], ...]
    fewest: int
    most: int | None
    pointer: str


Plan: TypeAlias = LiteralPlan | NumberPlan | TextPlan | ListPlan | ObjectPlan


@dataclass(slots=True)
class Notes:
    """What the grammar leaves to the check, what nobody can check, and which limits it adds; by pointer."""

    left: dict[str, str] = field(default_factory=dict)
    unchecked: dict[str, str] = field(default_factory=dict)
    caps: dict[str, int] = field(default_factory=dict)

    def cap(self, case: Case, keyword: str, limit: int) -> None:
        """Note a limit, where a schema says anything at all of the value."""
        if case.places:
            self.caps[case.places[0].at(keyword)] = limit

    def leave(self, case: Case, keyword: str) -> None:
        """Note a keyword for the check, wherever a schema of this case states it."""
        at = [place.at(keyword) for place in case.places if keyword in place.schema]
        for where in at or [case.places[0].at(keyword)]:
            self.left[where] = keyword

    def leave_excluded(self, case: Case) -> None:
        """Note for the check that some values are left out by a negation."""
        for place in case.places:
            if EXCLUDED in place.schema:
                self.left[place.pointer] = "not"

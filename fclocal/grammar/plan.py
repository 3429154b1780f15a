"""Cases -> plans: what to write for each kind of value, with the schemas of inner values still unread.

Here the limits are put on what a schema leaves unbounded, and keywords that a grammar cannot hold are noted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from fclocal.functions import Json
from fclocal.grammar.cases import Case, ListPart, ObjectPart, key
from fclocal.grammar.drafts import TooManySteps, place_accepts
from fclocal.grammar.expand import Expansion
from fclocal.grammar.formats import CHECKS, GRAMMAR_PATTERNS, INTEGER_RANGES, PLAIN_PATTERNS, is_known
from fclocal.grammar.keywords import ASSERTIONS
from fclocal.grammar.patterns import Unportable, for_grammar, searcher
from fclocal.grammar.source import Conjunction, Place
from fclocal.grammar.words import all_but, literal_prefix

MAX_TEXT = 2000
MAX_ITEMS = 64
MAX_EXTRAS = 16
MAX_KEY = 64
MAX_EXCLUDED = 200
HARD_TEXT = 20_000
HARD_ITEMS = 2_000
MAX_MULTIPLES = 512


@dataclass(frozen=True, slots=True, eq=False)
class LiteralPlan:
    """Constants; never equal to others, because Python holds 1 and True for the same."""

    values: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class NumberPlan:
    """Numbers in one range; `step` None or what they are multiples of."""

    whole: bool
    low: Decimal | None
    high: Decimal | None
    low_open: bool
    high_open: bool
    step: Decimal | None


@dataclass(frozen=True, slots=True)
class TextPlan:
    """Strings; each of `patterns` comes with the pointer and keyword that it stands for."""

    shortest: int
    longest: int
    patterns: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class ListPlan:
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
    members: tuple[tuple[str, Conjunction, bool], ...]
    extras: tuple[tuple[TextPlan, Conjunction], ...]
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


class Planner:
    """Plans the values of conjunctions. With `narrow`, formats that only the check decides get a plain spelling."""

    def __init__(self, expansion: Expansion, notes: Notes, *, narrow: bool = False) -> None:
        self.narrow = narrow
        self.expansion = expansion
        self.notes = notes
        self._known: dict[Conjunction, tuple[Plan, ...]] = {}

    def plans(self, conjunction: Conjunction) -> tuple[Plan, ...]:
        """The plans whose values together are those of the conjunction."""
        conjunction = self.expansion.meaningful(conjunction)
        if conjunction not in self._known:
            found = [plan for case in self.expansion.cases(conjunction) for plan in self._case(case)]
            self._known[conjunction] = tuple(dict.fromkeys(found)) if len(found) > 1 else tuple(found)
        return self._known[conjunction]

    def _case(self, case: Case) -> Iterator[Plan]:
        self.notes.left |= case.left
        self._note_formats(case)
        if case.values is not None:
            values = tuple(value for value in case.values if self._accepted(case, value))
            if values:
                yield LiteralPlan(values)
            return
        constants: list[Json] = []
        if "null" in case.kinds:
            constants.append(None)
        if "boolean" in case.kinds:
            constants += [True, False]
        banned = {key(value) for value in case.excluded}
        constants = [value for value in constants if key(value) not in banned]
        if constants:
            yield LiteralPlan(tuple(constants))
        if "number" in case.kinds:
            yield from self._numbers(case)
        if "string" in case.kinds:
            yield self._text(case)
        if "array" in case.kinds:
            yield from self._list(case)
        if "object" in case.kinds:
            yield from self._object(case)

    def _accepted(self, case: Case, value: Json) -> bool:
        uri = self.expansion.source.draft
        try:
            return all(
                place_accepts(place, value, uri=uri) for place in case.places if place.schema.keys() & _BEYOND_TYPE
            )
        except (TooManySteps, RecursionError):
            return False

    def _note_formats(self, case: Case) -> None:
        for name, where in case.formats:
            if not is_known(name):
                self.notes.unchecked[where] = "format"
        for pattern, where in case.patterns:
            if searcher(pattern) is None:
                self.notes.unchecked[where] = "pattern"

    def _numbers(self, case: Case) -> Iterator[Plan]:
        for name, _ in case.formats:
            if name in INTEGER_RANGES:
                low, high = INTEGER_RANGES[name]
                case.at_least(low, excluded=False)
                case.at_most(high, excluded=False)
        step = _common_step(case)
        if step is None and case.steps:
            self._leave(case, "multipleOf")
        holes = sorted(
            {
                Decimal(str(value))
                for value in case.excluded
                if isinstance(value, int | float) and not isinstance(value, bool)
            }
        )
        edges = [
            hole
            for hole in holes
            if (case.low is None or hole >= case.low) and (case.high is None or hole <= case.high)
        ]
        if len(edges) > MAX_EXCLUDED:
            self._leave(case, "enum")
            edges = []
        low, low_open = case.low, case.low_open
        for edge in edges:
            yield from self._range(case, low, edge, low_open, True, step)
            low, low_open = edge, True
        yield from self._range(case, low, case.high, low_open, case.high_open, step)

    def _range(
        self,
        case: Case,
        low: Decimal | None,
        high: Decimal | None,
        low_open: bool,
        high_open: bool,
        step: Decimal | None,
    ) -> Iterator[Plan]:
        whole = case.whole or (step is not None and step == step.to_integral_value())
        if whole:
            if low is not None:
                low = low.to_integral_value("ROUND_FLOOR") + 1 if low_open else low.to_integral_value("ROUND_CEILING")
            if high is not None:
                high = (
                    high.to_integral_value("ROUND_CEILING") - 1 if high_open else high.to_integral_value("ROUND_FLOOR")
                )
            low_open = high_open = False
        if low is not None and high is not None and (low > high or (low == high and (low_open or high_open))):
            return
        if step is not None and low is not None and high is not None and (high - low) / step <= MAX_MULTIPLES:
            values = [
                value
                for value in _multiples(low, high, step)
                if not (value == low and low_open) and not (value == high and high_open)
            ]
            if values:
                yield LiteralPlan(tuple(_plain(value) for value in values))
            return
        yield NumberPlan(whole, low, high, low_open, high_open, step)

    def _text(self, case: Case) -> TextPlan:
        where = case.places[0].pointer if case.places else ""
        patterns = [found for name, at in case.formats for found in self._format(name, at)]
        patterns += [found for pattern, at in case.patterns for found in self._pattern(pattern, at)]
        banned = [value for value in case.excluded if isinstance(value, str)]
        if banned:
            if sum(map(len, banned)) <= MAX_EXCLUDED:
                patterns.append((all_but(banned), case.places[-1].pointer, "enum"))
            else:
                self._leave(case, "enum")
        longest = case.longest
        if longest is None:
            longest = max(MAX_TEXT, case.shortest * 2)
            self.notes.caps[f"{where}/maxLength"] = longest
        if longest > HARD_TEXT:
            longest = max(HARD_TEXT, case.shortest)
            self.notes.caps[f"{where}/maxLength"] = longest
        return TextPlan(case.shortest, longest, tuple(patterns))

    def _format(self, name: str, where: str) -> Iterator[tuple[str, str, str]]:
        if name in GRAMMAR_PATTERNS or (self.narrow and name in PLAIN_PATTERNS):
            for pattern in GRAMMAR_PATTERNS.get(name) or PLAIN_PATTERNS[name]:
                yield from ((found, where, "format") for found in for_grammar(pattern).patterns)
        elif name in CHECKS:
            self.notes.left[where] = "format"

    def _pattern(self, pattern: str, where: str) -> Iterator[tuple[str, str, str]]:
        try:
            spelled = for_grammar(pattern)
        except Unportable:
            self.notes.left[where] = "pattern"
            return
        if not spelled.exact:
            self.notes.left[where] = "pattern"
        yield from ((found, where, "pattern") for found in spelled.patterns)

    def _list(self, case: Case) -> Iterator[ListPlan]:
        parts = [*case.lists, *self._unevaluated_items(case)]
        count = max((len(part.first) for part in parts), default=0)
        where = case.places[0].pointer if case.places else ""
        most = case.most_items
        first: list[Conjunction] = []
        for index in range(min(count, HARD_ITEMS)):
            found = (part.first[index] if index < len(part.first) else part.rest for part in parts)
            inner = self.expansion.meaningful(tuple(place for place in found if place is not None))
            if not self.expansion.satisfiable(inner, levels=1):
                most = index if most is None else min(most, index)
                break
            first.append(inner)
        rest: Conjunction | None = self.expansion.meaningful(
            tuple(part.rest for part in parts if part.rest is not None)
        )
        if rest is not None and not self.expansion.satisfiable(rest, levels=1):
            rest = None
            most = len(first) if most is None else min(most, len(first))
        longest = most
        if longest is None:
            needed = sum(contains.fewest for contains in case.contains)
            longest = max(MAX_ITEMS, case.fewest_items, len(first) + needed)
            self.notes.caps[f"{where}/maxItems"] = longest
        if longest > HARD_ITEMS:
            longest = max(HARD_ITEMS, case.fewest_items)
            self.notes.caps[f"{where}/maxItems"] = longest
        fewest = max(case.fewest_items, 1 if any(value == [] for value in case.excluded) else 0)
        if any(isinstance(value, list) and value for value in case.excluded):
            self._leave(case, "not")
        match, matches = self._contains(case, rest)
        if fewest <= longest and matches <= longest:
            yield ListPlan(tuple(first), rest, fewest, longest, case.unique, match, matches, where)

    def _contains(self, case: Case, rest: Conjunction | None) -> tuple[Conjunction | None, int]:
        """The items that `contains` asks for, where a grammar can hold that."""
        for contains in case.contains:
            if contains.most is not None:
                self._leave(case, "contains")
        wanted = [contains for contains in case.contains if contains.fewest > 0]
        if not wanted:
            return None, 0
        if len(wanted) > 1 or case.unique or rest is None:
            self._leave(case, "contains")
        if rest is None or case.unique:
            return None, 0
        return self.expansion.meaningful((*rest, wanted[0].place)), wanted[0].fewest

    def _object(self, case: Case) -> Iterator[ObjectPlan]:
        parts = [*case.objects, *self._unevaluated_properties(case)]
        case.objects = tuple(parts)
        where = case.places[0].pointer if case.places else ""
        if any(isinstance(value, Mapping) and value for value in case.excluded):
            self._leave(case, "not")
        fewest = max(case.fewest_keys, 1 if any(value == {} for value in case.excluded) else 0)
        declared = dict.fromkeys(name for part in parts for name in part.properties) | case.required
        listed = self._listed_names(case)
        names = declared if listed is None else declared | dict.fromkeys(listed)
        members: list[tuple[str, Conjunction, bool]] = []
        for name in names:
            inner = self.expansion.at_key(case, name)
            allowed = inner is not None and self._name_fits(case, name, listed)
            if name not in declared and not self._extras_open(parts, closed_by_default=False):
                continue
            if allowed and inner is not None:
                members.append((name, inner, name in case.required))
            elif name in case.required:
                return
        extras = () if listed is not None else tuple(self._extras(case, parts, [*declared, *case.absent]))
        most = case.most_keys
        if extras and most is None:
            self.notes.caps[f"{where}/maxProperties"] = MAX_EXTRAS
        yield ObjectPlan(tuple(members), extras, fewest, most, where)

    def _listed_names(self, case: Case) -> tuple[str, ...] | None:
        """The keys that `propertyNames` lists, if it does."""
        if not case.names:
            return None
        found = self.expansion.cases(case.names)
        if not all(inner.values is not None or "string" not in inner.kinds for inner in found):
            return None
        values = [value for inner in found for value in inner.values or ()]
        return tuple(value for value in dict.fromkeys(map(str, values)) if value in values)

    def _name_fits(self, case: Case, name: str, listed: tuple[str, ...] | None) -> bool:
        if listed is not None:
            return name in listed
        uri = self.expansion.source.draft
        return all(place_accepts(place, name, uri=uri) for place in case.names)

    def _extras_open(self, parts: list[ObjectPart], *, closed_by_default: bool = True) -> bool:
        stated = [part.others for part in parts if part.others is not None]
        if stated:
            return self.expansion.satisfiable(tuple(stated), levels=1)
        return not (closed_by_default and any(part.properties or part.patterns for part in parts))

    def _extras(self, case: Case, parts: list[ObjectPart], taken: list[str]) -> Iterator[tuple[TextPlan, Conjunction]]:
        keys = self._keys(case, taken)
        others = tuple(part.others for part in parts if part.others is not None)
        patterns = {pattern: place for part in parts for pattern, place in part.patterns.items()}
        for pattern in patterns:
            yield from self._pattern_extra(case, parts, keys, pattern)
        if not self._extras_open(parts):
            return
        everything = self.expansion.meaningful((*others, *(place for place in patterns.values() if place is not None)))
        if self.expansion.satisfiable(everything, levels=1):
            yield keys, everything

    def _pattern_extra(
        self, case: Case, parts: list[ObjectPart], keys: TextPlan, pattern: str
    ) -> Iterator[tuple[TextPlan, Conjunction]]:
        """Keys that match one of `patternProperties`; other patterns that may match them, too, count as matching."""
        found: list[Place] = []
        for part in parts:
            hits = [place for other, place in part.patterns.items() if other == pattern or not _apart(other, pattern)]
            found += [place for place in hits or [part.others] if place is not None]
        value = self.expansion.meaningful(tuple(found))
        where = next((part.chain[-1] for part in parts if pattern in part.patterns), None)
        at = where.at("patternProperties", pattern) if where else ""
        if searcher(pattern) is None:
            self.notes.unchecked[at] = "patternProperties"
        if not self.expansion.satisfiable(value, levels=1):
            return
        try:
            spelled = for_grammar(pattern)
        except Unportable:
            self.notes.left[at] = "patternProperties"
            return
        if not spelled.exact:
            self.notes.left[at] = "patternProperties"
        found_in = tuple((each, at, "patternProperties") for each in spelled.patterns)
        yield TextPlan(keys.shortest, keys.longest, (*keys.patterns, *found_in)), value

    def _keys(self, case: Case, taken: list[str]) -> TextPlan:
        """The undeclared keys of an object: what `propertyNames` allows, less the declared ones."""
        patterns: list[tuple[str, str, str]] = []
        shortest, longest = 1, MAX_KEY
        found = self.expansion.cases(case.names) if case.names else ()
        if len(found) == 1:
            plan = self._text(found[0])
            patterns, shortest, longest = list(plan.patterns), max(1, plan.shortest), plan.longest
            longest = max(min(longest, MAX_KEY), shortest)
        elif found:
            self._leave(case, "propertyNames")
        if taken:
            patterns.append((all_but(taken), "", ""))
        return TextPlan(shortest, longest, tuple(patterns))

    def _unevaluated_properties(self, case: Case) -> Iterator[ObjectPart]:
        for place in case.places:
            if "unevaluatedProperties" not in place.schema or "additionalProperties" in place.schema:
                continue
            seen = [part for part in case.objects if place in part.chain]
            if any(part.others is not None for part in seen):
                continue
            properties = {name: None for part in seen for name in part.properties}
            patterns = {pattern: None for part in seen for pattern in part.patterns}
            others = self.expansion.source.child(place, "unevaluatedProperties")
            yield ObjectPart(properties, patterns, others, (place,))

    def _unevaluated_items(self, case: Case) -> Iterator[ListPart]:
        for place in case.places:
            if "unevaluatedItems" not in place.schema:
                continue
            seen = [part for part in case.lists if place in part.chain]
            if any(part.rest is not None for part in seen):
                continue
            longest = max((part.first for part in seen), key=len, default=())
            yield ListPart(longest, self.expansion.source.child(place, "unevaluatedItems"), (place,))

    def _leave(self, case: Case, keyword: str) -> None:
        """Note a keyword for the check, wherever a schema of this case states it."""
        at = [place.at(keyword) for place in case.places if keyword in place.schema]
        for where in at or [case.places[0].at(keyword)]:
            self.notes.left[where] = keyword


_BEYOND_TYPE = ASSERTIONS - {"type", "enum", "const"}


def _apart(left: str, right: str) -> bool:
    """Whether it is certain that no key matches both patterns."""
    first, second = literal_prefix(left), literal_prefix(right)
    return not first.startswith(second) and not second.startswith(first)


def _common_step(case: Case) -> Decimal | None:
    """The one step whose multiples are the multiples of all, if there is one."""
    steps = sorted(set(case.steps), reverse=True)
    if not steps:
        return None
    return steps[0] if all(steps[0] % step == 0 for step in steps) else None


def _multiples(low: Decimal, high: Decimal, step: Decimal) -> Iterator[Decimal]:
    number = (low / step).to_integral_value("ROUND_CEILING")
    while number * step <= high:
        yield number * step
        number += 1


def _plain(number: Decimal) -> Json:
    return int(number) if number == number.to_integral_value() else float(number)

"""Cases -> plans. Here limits are put on what a schema leaves unbounded, and what a grammar cannot hold is noted."""

from __future__ import annotations

from collections.abc import Iterator

from fclocal.functions import Json
from fclocal.grammar.cases import Case, ListPart, key
from fclocal.grammar.drafts import place_accepts
from fclocal.grammar.expand import Expansion
from fclocal.grammar.formats import CHECKS, GRAMMAR_PATTERNS, PLAIN_PATTERNS, is_known
from fclocal.grammar.keywords import ASSERTIONS
from fclocal.grammar.negate import EXCLUDED
from fclocal.grammar.patterns import Unportable, for_grammar, searcher
from fclocal.grammar.plan_numbers import number_plans
from fclocal.grammar.plan_objects import ObjectPlanner, unevaluated_properties
from fclocal.grammar.plans import ListPlan, LiteralPlan, Notes, ObjectPlan, Plan, TextPlan
from fclocal.grammar.source import Conjunction
from fclocal.grammar.words import all_but

MAX_TEXT = 2000
MAX_ITEMS = 64
MAX_EXCLUDED = 200
HARD_TEXT = 20_000
HARD_ITEMS = 2_000

_BEYOND_TYPE = ASSERTIONS - {"type", "enum", "const"}


class Planner:
    """Plans the values of conjunctions. With `narrow`, formats that only the check decides get a plain spelling; with
    `plain`, patterns are left to the check."""

    def __init__(self, expansion: Expansion, notes: Notes, *, narrow: bool = False, plain: bool = False) -> None:
        self.plain = plain
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
            yield from number_plans(case, self.notes)
        if "string" in case.kinds:
            yield self._text(case)
        if "array" in case.kinds:
            yield from self._list(case)
        if "object" in case.kinds:
            yield from self._objects(case)

    def _accepted(self, case: Case, value: Json) -> bool:
        uri = self.expansion.source.draft
        saying = (place for place in case.places if place.schema.keys() & _BEYOND_TYPE)
        return all(place_accepts(place, value, uri=uri) for place in saying)

    def _note_formats(self, case: Case) -> None:
        for name, where in case.formats:
            if not is_known(name):
                self.notes.unchecked[where] = "format"
        for pattern, where in case.patterns:
            if searcher(pattern) is None:
                self.notes.unchecked[where] = "pattern"

    def _text(self, case: Case) -> TextPlan:
        patterns = [found for name, at in case.formats for found in self._format(name, at)]
        patterns += [found for pattern, at in case.patterns for found in self._pattern(pattern, at)]
        banned = [value for value in case.excluded if isinstance(value, str)]
        if banned:
            if sum(map(len, banned)) <= MAX_EXCLUDED:
                patterns.append((all_but(banned), _excluding(case), "not"))
            else:
                self.notes.leave_excluded(case)
        longest = case.longest
        if longest is None:
            longest = max(MAX_TEXT, case.shortest * 2)
            self.notes.cap(case, "maxLength", longest)
        if longest > HARD_TEXT:
            longest = max(HARD_TEXT, case.shortest)
            self.notes.cap(case, "maxLength", longest)
        where = case.places[0].pointer if case.places else ""
        return TextPlan(case.shortest, longest, tuple(patterns), where, case.longest is None)

    def _format(self, name: str, where: str) -> Iterator[tuple[str, str, str]]:
        if name in GRAMMAR_PATTERNS or (self.narrow and name in PLAIN_PATTERNS):
            for pattern in GRAMMAR_PATTERNS.get(name) or PLAIN_PATTERNS[name]:
                yield from ((found, where, "format") for found in for_grammar(pattern).patterns)
        elif name in CHECKS:
            self.notes.left[where] = "format"

    def _pattern(self, pattern: str, where: str) -> Iterator[tuple[str, str, str]]:
        if self.plain:
            self.notes.left[where] = "pattern"
            return
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
            self.notes.cap(case, "maxItems", longest)
        if longest > HARD_ITEMS:
            longest = max(HARD_ITEMS, case.fewest_items)
            self.notes.cap(case, "maxItems", longest)
        fewest = max(case.fewest_items, 1 if any(value == [] for value in case.excluded) else 0)
        if any(isinstance(value, list) and value for value in case.excluded):
            self.notes.leave_excluded(case)
        match, matches = self._contains(case, rest)
        if fewest <= longest and matches <= longest:
            yield ListPlan(tuple(first), rest, fewest, longest, case.unique, match, matches, where)

    def _contains(self, case: Case, rest: Conjunction | None) -> tuple[Conjunction | None, int]:
        """The items that `contains` asks for, where a grammar can hold that."""
        for contains in case.contains:
            if contains.most is not None:
                self.notes.leave(case, "contains")
        wanted = [contains for contains in case.contains if contains.fewest > 0]
        if not wanted:
            return None, 0
        if len(wanted) > 1 or case.unique or rest is None:
            self.notes.leave(case, "contains")
        if rest is None or case.unique:
            return None, 0
        return self.expansion.meaningful((*rest, wanted[0].place)), wanted[0].fewest

    def _objects(self, case: Case) -> Iterator[ObjectPlan]:
        parts = (*case.objects, *unevaluated_properties(self.expansion, case))
        plan = ObjectPlanner(self.expansion, self.notes, self._text, case, parts).plan()
        if plan is not None:
            yield plan

    def _unevaluated_items(self, case: Case) -> Iterator[ListPart]:
        for place in case.places:
            if "unevaluatedItems" not in place.schema:
                continue
            seen = [part for part in case.lists if place in part.chain]
            if any(part.rest is not None for part in seen):
                continue
            longest = max((part.first for part in seen), key=len, default=())
            yield ListPart(longest, self.expansion.source.child(place, "unevaluatedItems"), (place,))


def _excluding(case: Case) -> str:
    """The pointer of what leaves values out."""
    return next((place.pointer for place in case.places if EXCLUDED in place.schema), "")

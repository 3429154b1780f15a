"""Plans of objects: declared keys in their order, and which undeclared ones there may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fclocal.grammar.cases import Case, ObjectPart
from fclocal.grammar.drafts import place_accepts
from fclocal.grammar.expand import Expansion
from fclocal.grammar.patterns import Unportable, for_grammar, searcher
from fclocal.grammar.plans import Notes, ObjectPlan, TextPlan
from fclocal.grammar.source import Conjunction, Place
from fclocal.grammar.words import all_but, literal_prefix

MAX_EXTRAS = 16
MAX_KEY = 64
MAX_TAKEN = 8_000


@dataclass(frozen=True, slots=True)
class ObjectPlanner:
    """Plans the objects of one case. `text` plans a string of a case."""

    expansion: Expansion
    notes: Notes
    text: Callable[[Case], TextPlan]
    case: Case
    parts: tuple[ObjectPart, ...]

    def plan(self) -> ObjectPlan | None:
        """The plan; None when no object can be like that."""
        case, parts = self.case, self.parts
        where = case.places[0].pointer if case.places else ""
        if any(isinstance(value, Mapping) and value for value in case.excluded):
            self.notes.leave_excluded(case)
        fewest = max(case.fewest_keys, 1 if any(value == {} for value in case.excluded) else 0)
        declared = dict.fromkeys(name for part in parts for name in part.properties) | case.required
        listed = self._listed_names()
        if not all(self._name_fits(name, listed) and self._value(name) is not None for name in case.required):
            return None
        open_to = listed if listed and self._open(closed_by_default=False) else ()
        members: list[tuple[str, Conjunction, bool]] = []
        for name in declared | dict.fromkeys(open_to):
            value = self._value(name)
            if value is not None and self._name_fits(name, listed):
                members.append((name, value, name in case.required))
        taken = [*declared, *case.absent]
        extras = tuple(self._extras(taken, closed_by_default=True)) if listed is None else ()
        spare = tuple(self._extras(taken, closed_by_default=False)) if listed is None and fewest and not extras else ()
        if extras and case.most_keys is None:
            self.notes.cap(case, "maxProperties", MAX_EXTRAS)
        return ObjectPlan(tuple(members), extras, spare, fewest, case.most_keys, where)

    def _value(self, name: str) -> Conjunction | None:
        return self.expansion.at_key(self.case, name, self.parts)

    def _listed_names(self) -> tuple[str, ...] | None:
        """The keys that `propertyNames` lists, if it does."""
        if not self.case.names:
            return None
        found = self.expansion.cases(self.case.names)
        if not all(inner.values is not None or "string" not in inner.kinds for inner in found):
            return None
        names = dict.fromkeys(value for inner in found for value in inner.values or () if isinstance(value, str))
        return tuple(names)

    def _name_fits(self, name: str, listed: tuple[str, ...] | None) -> bool:
        if listed is not None:
            return name in listed
        uri = self.expansion.source.draft
        return all(place_accepts(place, name, uri=uri) for place in self.case.names)

    def _open(self, *, closed_by_default: bool) -> bool:
        """Whether undeclared keys are meant; where nothing is said, they are only if no key is declared."""
        stated = tuple(part.others for part in self.parts if part.others is not None)
        if stated:
            return self.expansion.satisfiable(stated, levels=1)
        declaring = (part for part in self.parts if part.properties or part.patterns)
        return not (closed_by_default and any(not part.chain[-1].made for part in declaring))

    def _extras(self, taken: Sequence[str], *, closed_by_default: bool) -> Iterator[tuple[TextPlan, Conjunction]]:
        is_open = self._open(closed_by_default=closed_by_default)
        patterns = {pattern: place for part in self.parts for pattern, place in part.patterns.items()}
        if not (is_open or patterns) or sum(map(len, taken)) > MAX_TAKEN:
            return
        keys = self._keys(taken)
        for pattern in patterns:
            yield from self._pattern_extra(keys, pattern)
        if not is_open:
            return
        others = (part.others for part in self.parts)
        everything = tuple(place for place in (*others, *patterns.values()) if place is not None)
        if self.expansion.satisfiable(everything, levels=1):
            yield keys, self.expansion.meaningful(everything)

    def _pattern_extra(self, keys: TextPlan, pattern: str) -> Iterator[tuple[TextPlan, Conjunction]]:
        """Keys that match one of `patternProperties`; other patterns that may match them, too, count as matching."""
        found: list[Place] = []
        for part in self.parts:
            hits = [place for other, place in part.patterns.items() if other == pattern or not _apart(other, pattern)]
            found += [place for place in hits or [part.others] if place is not None]
        value = self.expansion.meaningful(tuple(found))
        at = next(part.chain[-1].at("patternProperties", pattern) for part in self.parts if pattern in part.patterns)
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

    def _keys(self, taken: Sequence[str]) -> TextPlan:
        """The undeclared keys: what `propertyNames` allows, less the declared ones."""
        patterns: tuple[tuple[str, str, str], ...] = ((all_but(taken), "", ""),) if taken else ()
        shortest, longest = 1, MAX_KEY
        found = self.expansion.cases(self.case.names) if self.case.names else ()
        if len(found) == 1:
            plan = self.text(found[0])
            patterns, shortest = (*patterns, *plan.patterns), max(1, plan.shortest)
            longest = max(min(plan.longest, MAX_KEY), shortest)
        elif found:
            self.notes.leave(self.case, "propertyNames")
        return TextPlan(shortest, longest, patterns)


def unevaluated_properties(expansion: Expansion, case: Case) -> Iterator[ObjectPart]:
    """`unevaluatedProperties` of each place, as if it stood beside all the keys that are spoken of there."""
    for place in case.places:
        if "unevaluatedProperties" not in place.schema or "additionalProperties" in place.schema:
            continue
        seen = [part for part in case.objects if place in part.chain and not part.chain[-1].made]
        if any(part.others is not None for part in seen):
            continue
        properties = {name: None for part in seen for name in part.properties}
        patterns = {pattern: None for part in seen for pattern in part.patterns}
        others = expansion.source.child(place, "unevaluatedProperties")
        yield ObjectPart(properties, patterns, others, (place,))


def _apart(left: str, right: str) -> bool:
    """Whether it is certain that no key matches both patterns."""
    first, second = literal_prefix(left), literal_prefix(right)
    return not first.startswith(second) and not second.startswith(first)

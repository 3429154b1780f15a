"""A conjunction of schemas -> the cases that satisfy it: every keyword read, every choice made.

What cannot be taken in exactly stays out of the case and is noted there, never guessed at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from fclocal.functions import Json, JsonObject
from fclocal.grammar.cases import Case, Contains, ListPart, ObjectPart
from fclocal.grammar.keywords import ASSERTIONS, as_count, as_list, as_names, as_number
from fclocal.grammar.negate import ABSENT, EXCLUDED, Ways, negate
from fclocal.grammar.patterns import searcher
from fclocal.grammar.source import NEVER, BrokenSchema, Conjunction, Place, Source

MAX_CASES = 64
MAX_BRANCHES = 512
MAX_PAIRS = 12
MAX_TRIAL = 1_500
MAX_WORK = 30_000


class TooMuchWork(Exception):
    """The schema takes more steps to take apart than a compilation may."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Several ways, of which a value takes one. Where they are too many, `keyword` at `pointer` is left out."""

    pointer: str
    keyword: str
    ways: Ways
    chain: Conjunction


class Expansion:
    """Takes conjunctions of one source apart. Remembers what it has done, and how much work it was."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.work = 0
        self.read: dict[Place, None] = {}
        self._known: dict[Conjunction, tuple[Case, ...]] = {}

    def cases(self, conjunction: Conjunction) -> tuple[Case, ...]:
        """Every case of the conjunction; none when nothing satisfies it. Raises TooMuchWork and BrokenSchema."""
        conjunction = self.meaningful(conjunction)
        if conjunction not in self._known:
            self._known[conjunction] = self._all_cases(conjunction)
        return self._known[conjunction]

    def _all_cases(self, conjunction: Conjunction) -> tuple[Case, ...]:
        """Every choice made where that gives few cases; else some choices are left out."""
        start: list[tuple[Place, Conjunction]] = [(place, ()) for place in conjunction]
        before = self.work
        found: list[Case] = []
        for case in self._explore(Case(), start, (), taken=None):
            found.append(case)
            if len(found) > MAX_CASES or self.work - before > MAX_TRIAL:
                return tuple(self._explore(Case(), start, (), taken=1))
        return tuple(found)

    def meaningful(self, conjunction: Conjunction) -> Conjunction:
        """The conjunction with references followed, without the places that say nothing and without repetitions."""
        settled = (self.source.settled(place) for place in conjunction)
        return tuple(dict.fromkeys(place for place in settled if _says_something(place.schema)))

    def satisfiable(self, conjunction: Conjunction, *, levels: int = 3) -> bool:
        """Whether a value may exist, looking at required keys a few levels deep."""
        found = self.cases(conjunction)
        return any(case.kinds - {"object"} or self._required_exist(case, levels) for case in found)

    def disjoint(self, left: Conjunction, right: Conjunction) -> bool:
        """Whether it is certain that no value satisfies both."""
        return not self.satisfiable((*left, *right))

    def at_key(self, case: Case, name: str, parts: Sequence[ObjectPart] | None = None) -> Conjunction | None:
        """What a case says of the value of one declared or required key; None when the key may not be there."""
        if name in case.absent:
            return None
        found: list[Place] = []
        for part in case.objects if parts is None else parts:
            hits = [part.properties[name]] if name in part.properties else []
            hits += [place for pattern, place in part.patterns.items() if _found(pattern, name)]
            found += [place for place in hits or [part.others] if place is not None]
        return self.meaningful(tuple(found))

    def _required_exist(self, case: Case, levels: int) -> bool:
        if levels == 0:
            return True
        for name in case.required:
            inner = self.at_key(case, name)
            if inner is None or not self.satisfiable(inner, levels=levels - 1):
                return False
        return True

    def _explore(
        self, case: Case, todo: Sequence[tuple[Place, Conjunction]], choices: Sequence[Choice], *, taken: int | None
    ) -> Iterator[Case]:
        waiting = list(todo)
        open_choices = list(choices)
        while waiting:
            self._count()
            place, chain = waiting.pop(0)
            _Reader(self, case, place, chain, waiting, open_choices).read()
            case.drop_impossible()
            if not case.kinds:
                return
        if not open_choices:
            yield case
            return
        choice = open_choices.pop(0)
        most = MAX_BRANCHES if taken == 1 else MAX_CASES
        if taken is not None and taken * len(choice.ways) > most:
            case.left[choice.pointer] = choice.keyword
            yield from self._explore(case, (), open_choices, taken=taken)
            return
        for way in choice.ways:
            branch = [(place, choice.chain) for place in way]
            after = None if taken is None else taken * len(choice.ways)
            yield from self._explore(case.fork(), branch, open_choices, taken=after)

    def _count(self) -> None:
        self.work += 1
        if self.work > MAX_WORK:
            raise TooMuchWork


def _says_something(schema: JsonObject) -> bool:
    return any(keyword in ASSERTIONS or keyword in (EXCLUDED, ABSENT) for keyword in schema)


def _found(pattern: str, name: str) -> bool:
    search = searcher(pattern)
    return search is not None and search(name)


@dataclass(slots=True)
class _Reader:
    """Reads one place into a case: plain bounds go in, schemas of the same value wait, alternatives become choices."""

    expansion: Expansion
    case: Case
    place: Place
    chain: Conjunction
    waiting: list[tuple[Place, Conjunction]]
    choices: list[Choice]

    def read(self) -> None:
        place, case = self.place, self.case
        if place in self.chain:
            raise BrokenSchema(f"its reference at {place.pointer or 'the root'} leads back to itself")
        if place.number in case.chains:
            return
        self.expansion.read[place] = None
        self.chain = (*self.chain, place)
        case.chains[place.number] = self.chain
        case.places += (place,)
        if place.schema is NEVER:
            case.kinds = frozenset()
            return
        schema = place.schema
        if self.expansion.source.legacy and "$ref" in schema:
            schema = {"$ref": schema["$ref"]}
        if "type" in schema:
            self._read_keyword("type", schema["type"])
        for keyword, value in schema.items():
            self._read_keyword(keyword, value)
        self._read_objects(schema)
        self._read_lists(schema)

    def _read_keyword(self, keyword: str, value: Json) -> None:
        case = self.case
        number, count = as_number(value), as_count(value)
        match keyword:
            case "$ref" | "$dynamicRef" | "$recursiveRef":
                self._also(self.expansion.source.target(self.place, keyword))
            case "allOf":
                for index in range(len(as_list(value))):
                    self._also(self._child("allOf", str(index)))
            case "type":
                self._read_type((value,) if isinstance(value, str) else as_names(value))
            case "enum":
                case.among(as_list(value))
            case "const":
                case.among((value,))
            case "fclocal:excluded":
                case.excluded += tuple(as_list(value))
            case "fclocal:absent":
                case.absent |= frozenset(as_names(value))
            case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" if number is not None:
                self._read_bound(keyword, number)
            case "multipleOf" if number is not None:
                case.steps += (Decimal(str(number)),)
            case "minLength" if count is not None:
                case.shortest = max(case.shortest, count)
            case "maxLength" if count is not None:
                case.longest = _least(case.longest, count)
            case "pattern":
                case.patterns += ((str(value), self.place.at("pattern")),)
            case "format":
                case.formats += ((str(value), self.place.at("format")),)
            case "minItems" if count is not None:
                case.fewest_items = max(case.fewest_items, count)
            case "maxItems" if count is not None:
                case.most_items = _least(case.most_items, count)
            case "uniqueItems" if value is True:
                case.unique = case.unique or self.place.at("uniqueItems")
            case "minProperties" if count is not None:
                case.fewest_keys = max(case.fewest_keys, count)
            case "maxProperties" if count is not None:
                case.most_keys = _least(case.most_keys, count)
            case "required":
                case.required |= dict.fromkeys(as_names(value))
            case _:
                self._read_choice(keyword, value)

    def _read_bound(self, keyword: str, number: int | float) -> None:
        """One bound of numbers; in draft 4 `exclusiveMinimum` is true or false and says how `minimum` is meant."""
        schema = self.place.schema
        if keyword in ("minimum", "exclusiveMinimum"):
            self.case.at_least(number, excluded=keyword != "minimum" or schema.get("exclusiveMinimum") is True)
        else:
            self.case.at_most(number, excluded=keyword != "maximum" or schema.get("exclusiveMaximum") is True)

    def _read_choice(self, keyword: str, value: Json) -> None:
        match keyword:
            case "anyOf":
                self._choose(keyword, tuple((self._child("anyOf", str(i)),) for i in range(len(as_list(value)))))
            case "oneOf":
                self._choose_one(len(as_list(value)))
            case "not":
                self._choose(keyword, negate(self.expansion.source, self._child("not"), whole=self._whole()))
            case "if":
                self._choose(keyword, self._conditional())
            case "dependentRequired" | "dependencies" | "dependentSchemas" if isinstance(value, Mapping):
                for name, needed in value.items():
                    self._choose(keyword, self._dependent(keyword, name, needed), name)

    def _read_type(self, names: Sequence[str]) -> None:
        if "integer" in names and "number" not in names:
            self.case.whole = True
        self.case.only("number" if name == "integer" else name for name in names)

    def _read_objects(self, schema: JsonObject) -> None:
        case = self.case
        if "propertyNames" in schema:
            case.names = (*case.names, self._child("propertyNames"))
        if not {"properties", "patternProperties", "additionalProperties"} & schema.keys():
            return
        properties = {name: self._child("properties", name) for name in _names(schema.get("properties"))}
        patterns = {name: self._child("patternProperties", name) for name in _names(schema.get("patternProperties"))}
        others = self._child("additionalProperties") if "additionalProperties" in schema else None
        case.objects += (ObjectPart(properties, patterns, others, self.chain),)

    def _read_lists(self, schema: JsonObject) -> None:
        case = self.case
        if "contains" in schema:
            fewest = as_count(schema.get("minContains", 1))
            most = as_count(schema["maxContains"]) if "maxContains" in schema else None
            case.contains += (Contains(self._child("contains"), 1 if fewest is None else fewest, most),)
        keyword = "prefixItems" if "prefixItems" in schema else "items" if as_list(schema.get("items")) else ""
        first = tuple(self._child(keyword, str(index)) for index in range(len(as_list(schema.get(keyword)))))
        rest = None
        if "items" in schema and keyword != "items" and schema["items"] != []:
            rest = self._child("items")
        elif keyword == "items" and "additionalItems" in schema:
            rest = self._child("additionalItems")
        if first or rest is not None:
            case.lists += (ListPart(first, rest, self.chain),)

    def _choose_one(self, count: int) -> None:
        ways = self._exclusive(count)
        if ways is None:
            self.case.left[self.place.at("oneOf")] = "oneOf"
            ways = tuple((self._child("oneOf", str(index)),) for index in range(count))
        self._choose("oneOf", ways)

    def _whole(self, branch: Place | None = None) -> bool:
        """Whether numbers are whole ones here (in a branch of this place)."""
        if self.case.whole or "number" not in self.case.kinds:
            return True
        found = self.expansion.cases((branch,)) if branch else ()
        return bool(found) and all(case.whole or "number" not in case.kinds for case in found)

    def _exclusive(self, count: int) -> Ways | None:
        """Exactly one of the branches: each with the negation of every other that it may overlap with."""
        expansion, source = self.expansion, self.expansion.source
        branches = [self._child("oneOf", str(index)) for index in range(count)]
        if count > MAX_PAIRS and not self._told_apart(branches):
            return None
        ways: list[Conjunction] = []
        for branch in branches:
            found: Ways = ((branch,),)
            for other in branches if count <= MAX_PAIRS else ():
                if other is branch or expansion.disjoint((branch,), (other,)):
                    continue
                opposite = negate(source, other, whole=self._whole(branch))
                if opposite is None or len(found) * len(opposite) > MAX_CASES:
                    return None
                found = tuple(way + more for way in found for more in opposite)
            ways.extend(found)
        return tuple(ways)

    def _told_apart(self, branches: Sequence[Place]) -> bool:
        """Whether many branches differ in the constant of one key that all of them require."""
        seen: dict[str, set[str]] = {}
        for branch in branches:
            for name, constant in self._constants(branch):
                seen.setdefault(name, set()).add(repr(constant))
        return any(len(constants) == len(branches) for constants in seen.values())

    def _constants(self, branch: Place) -> Iterator[tuple[str, Json]]:
        cases = self.expansion.cases((branch,))
        if len(cases) != 1 or cases[0].kinds != {"object"}:
            return
        for name in cases[0].required:
            inner = self.expansion.at_key(cases[0], name)
            found = self.expansion.cases(inner) if inner else ()
            if len(found) == 1 and found[0].values is not None and len(found[0].values) == 1:
                yield name, found[0].values[0]

    def _conditional(self) -> Ways | None:
        schema = self.place.schema
        if "then" not in schema and "else" not in schema:
            return ((),)
        opposite = negate(self.expansion.source, self._child("if"), whole=self._whole())
        if opposite is None:
            return None
        then = (self._child("then"),) if "then" in schema else ()
        otherwise = (self._child("else"),) if "else" in schema else ()
        return ((self._child("if"), *then), *((*way, *otherwise) for way in opposite))

    def _dependent(self, keyword: str, name: str, needed: Json) -> Ways:
        """Either the key is not there (or the value is no object), or it is, and what it needs is there, too."""
        without: list[JsonObject] = [{"type": "object", ABSENT: [name]}]
        if self.case.kinds != {"object"}:
            without.append({"type": ["null", "boolean", "number", "string", "array"]})
        present: JsonObject = {"type": "object", "required": [name, *as_names(needed)]}
        more = () if as_list(needed) or needed == [] else (self._child(keyword, name),)
        ways = [(self._made(f"{keyword} {name} {index}", schema, keyword),) for index, schema in enumerate(without)]
        return (*ways, (self._made(f"{keyword} {name} present", present, keyword), *more))

    def _choose(self, keyword: str, ways: Ways | None, *path: str) -> None:
        where = self.place.at(keyword, *path)
        if ways is None:
            self.case.left[where] = keyword
        elif len(ways) == 1:
            for place in ways[0]:
                self._also(place)
        else:
            self.choices.append(Choice(where, keyword, ways, self.chain))
        if ways == ():
            self.case.kinds = frozenset()

    def _also(self, place: Place) -> None:
        self.waiting.append((place, self.chain))

    def _child(self, *path: str) -> Place:
        return self.expansion.source.child(self.place, *path)

    def _made(self, key: str, schema: JsonObject, *path: str) -> Place:
        return self.expansion.source.made(self.place, key, lambda: schema, *path)


def _names(value: Json) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, Mapping) else ()


def _least(left: int | None, right: int) -> int:
    return right if left is None else min(left, right)

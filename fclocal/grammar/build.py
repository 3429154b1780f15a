"""Plans -> shapes: inner schemas read, recursion unrolled a few levels, what nothing can satisfy left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal, localcontext

from fclocal.functions import Json
from fclocal.grammar.cases import key
from fclocal.grammar.expand import TooMuchWork
from fclocal.grammar.numbers import DIGITS
from fclocal.grammar.plan import Planner
from fclocal.grammar.plans import ListPlan, LiteralPlan, NumberPlan, ObjectPlan, Plan, TextPlan
from fclocal.grammar.probe import UNLIMITED, refused_leaf, short_texts
from fclocal.grammar.rules import stepped_leaf
from fclocal.grammar.shapes import (
    Either,
    Extent,
    Extra,
    Fields,
    Items,
    Literals,
    Member,
    Number,
    Shape,
    Text,
    dump,
    length,
)
from fclocal.grammar.source import Conjunction

RECURSION = 3
MAX_LEVELS = 150
MAX_SIZE = 1 << 16
MAX_REMAINDERS = 5000
MAX_OPTIONAL = 300
MAX_SHAPES = 8_000
MAX_COUNTED = 2_000
MAX_TRIES = 200
MAX_UNIQUE = 48


class Builder:
    """Builds the shape of a conjunction. With `narrow` the language is cut down to what is surely valid: only what is
    required, lists as short as they may be."""

    def __init__(self, planner: Planner, *, narrow: bool = False) -> None:
        self.planner = planner
        self.notes = planner.notes
        self.narrow = narrow
        self.recursive: set[str] = set()
        self._weight = 0
        self._tried: set[tuple[str, ...]] = set()
        self._known: dict[tuple[Conjunction, int], Shape | None] = {}
        self._back: set[tuple[Conjunction, Conjunction]] = set()

    def build(self, conjunction: Conjunction) -> Shape | None:
        """The shape of all values of the conjunction; None when there is none. Raises TooMuchWork."""
        root = self.planner.expansion.meaningful(conjunction)
        with localcontext(prec=DIGITS):
            self._find_cycles(root)
            for fuel in (RECURSION, 1, 0) if self._back else (0,):
                self._known.clear()
                self._weight = 0
                try:
                    return self._shape(root, fuel)
                except (TooMuchWork, RecursionError):
                    if fuel == 0:
                        raise
        return None

    def _find_cycles(self, root: Conjunction) -> None:
        """Note the steps from a schema to an inner one that lead back into a schema being read."""
        inside: dict[Conjunction, Iterator[Conjunction]] = {root: self._inner(root)}
        done: set[Conjunction] = set()
        while inside:
            here, rest = next(reversed(inside.items()))
            below = next(rest, None)
            if below is None:
                done.add(here)
                del inside[here]
            elif below in inside:
                self._back.add((here, below))
            elif below not in done:
                if len(inside) > MAX_LEVELS:
                    raise TooMuchWork
                inside[below] = self._inner(below)

    def _inner(self, conjunction: Conjunction) -> Iterator[Conjunction]:
        for plan in self.planner.plans(conjunction):
            match plan:
                case ListPlan():
                    yield from plan.first
                    yield from (found for found in (plan.rest, plan.match) if found is not None)
                case ObjectPlan():
                    yield from (inner for _, inner, _ in plan.members)
                    yield from (value for _, value in (*plan.extras, *plan.spare))

    def _shape(self, conjunction: Conjunction, fuel: int) -> Shape | None:
        at = (conjunction, fuel)
        if at not in self._known:
            if self._weight > MAX_SHAPES:
                raise TooMuchWork
            self._weight += 1
            found = (self._of_plan(plan, conjunction, fuel) for plan in self.planner.plans(conjunction))
            self._known[at] = either([shape for shape in found if shape is not None and shape.extent.size <= MAX_SIZE])
        return self._known[at]

    def _below(self, conjunction: Conjunction, parent: Conjunction, fuel: int) -> Shape | None:
        if (parent, conjunction) not in self._back:
            return self._shape(conjunction, fuel)
        if fuel == 0:
            return None
        return self._shape(conjunction, fuel - 1)

    def _of_plan(self, plan: Plan, conjunction: Conjunction, fuel: int) -> Shape | None:
        match plan:
            case LiteralPlan():
                return literals(plan.values)
            case NumberPlan():
                return self._number(plan)
            case TextPlan():
                return self._text(plan)
            case ListPlan():
                return self._list(plan, conjunction, fuel)
            case ObjectPlan():
                return self._object(plan, conjunction, fuel)

    def _number(self, plan: NumberPlan) -> Shape:
        least = _least_number(plan)
        digits = max(len(dump(least)), *(len(str(bound)) for bound in (plan.low, plan.high, plan.step)))
        extent = Extent(least, length(least), digits + 2)
        found = Number(plan.whole, plan.low, plan.high, plan.low_open, plan.high_open, plan.step, extent)
        if plan.step is not None and (not _countable(plan.step) or refused_leaf(stepped_leaf(found))):
            self.notes.left[plan.pointer] = "multipleOf"
            return replace(found, step=None, wanted_step=plan.step)
        return found

    def _text(self, plan: TextPlan) -> Text | None:
        if plan.shortest > min(plan.longest, MAX_SIZE):
            return None
        wanted = tuple(pattern for pattern, _, _ in plan.patterns)
        texts = self._try(plan, wanted) if wanted else ()
        if wanted and not texts:
            plan, wanted, texts = self._loosened(plan, wanted)
        if not wanted:
            least = "a" * plan.shortest
            return Text(plan.shortest, plan.longest, (), Extent(least, plan.shortest + 2, plan.shortest + 2))
        size = length(texts[0])
        return Text(plan.shortest, plan.longest, wanted, Extent(texts[0], size, 2 * size + 16))

    def _try(self, plan: TextPlan, patterns: tuple[str, ...]) -> tuple[str, ...]:
        """A short text that llguidance admits; none when it takes no such patterns, or after MAX_TRIES of them."""
        self._tried.add(patterns)
        if len(self._tried) > MAX_TRIES:
            return ()
        return short_texts(plan.shortest, plan.longest, patterns)

    def _loosened(self, plan: TextPlan, wanted: tuple[str, ...]) -> tuple[TextPlan, tuple[str, ...], tuple[str, ...]]:
        """A plan that llguidance takes where it does not take patterns and lengths together: the patterns without the
        lengths, or the lengths with those patterns that it does take. What is given up is left to the check."""
        texts = self._try(replace(plan, shortest=0, longest=UNLIMITED), wanted)
        if texts and plan.shortest <= len(texts[0]) <= plan.longest:
            if not plan.capped:
                self.notes.left[f"{plan.pointer}/maxLength"] = "maxLength"
            if plan.shortest:
                self.notes.left[f"{plan.pointer}/minLength"] = "minLength"
            return replace(plan, shortest=0, longest=UNLIMITED), wanted, texts
        kept: tuple[str, ...] = ()
        for pattern, where, keyword in plan.patterns:
            found = self._try(plan, (*kept, pattern))
            if found:
                kept, texts = (*kept, pattern), found
            elif keyword:
                self.notes.left[where] = keyword
        return plan, kept, texts

    def _list(self, plan: ListPlan, conjunction: Conjunction, fuel: int) -> Shape | None:
        rest = self._below(plan.rest, conjunction, fuel) if plan.rest is not None else None
        match = self._below(plan.match, conjunction, fuel) if plan.match is not None else None
        first: list[Shape] = []
        longest = plan.longest
        for inner in plan.first:
            shape = self._below(inner, conjunction, fuel)
            if shape is None:
                longest, rest = min(longest, len(first)), None
                break
            first.append(shape)
        if rest is None:
            longest = min(longest, len(first))
        if plan.match is not None and (match is None or len(first) + plan.matches > longest):
            return None
        shortest = max(plan.shortest, len(first) + plan.matches if plan.match is not None else 0)
        unique = False
        if plan.unique and longest > 1:
            rest = _counted_out(rest)
            unique = isinstance(rest, Literals) and len(rest.values) <= MAX_UNIQUE and not first
            if unique and isinstance(rest, Literals):
                longest = min(longest, len(rest.values))
            elif self.narrow:
                longest = max(shortest, 1)
            if not unique and longest > 1:
                self.notes.left[plan.unique] = "uniqueItems"
        if self.narrow:
            longest = max(shortest, 1 if rest or first else 0)
        if shortest > min(longest, MAX_SIZE):
            return None
        return items(tuple(first), rest, shortest, longest, unique=unique, match=match, matches=plan.matches)

    def _object(self, plan: ObjectPlan, conjunction: Conjunction, fuel: int) -> Shape | None:
        members: list[Member] = []
        self._weight += len(plan.members)
        for name, inner, required in plan.members:
            shape = self._below(inner, conjunction, fuel)
            if shape is not None:
                members.append(Member(name, shape, required))
            elif required:
                return None
            if len(members) > MAX_OPTIONAL and sum(not member.required for member in members) > MAX_OPTIONAL:
                raise TooMuchWork
        extras = self._extras(plan, conjunction, fuel, spare=plan.fewest > len(members))
        fewest, most = plan.fewest, plan.most
        if fewest > MAX_SIZE:
            return None
        if self.narrow:
            members, extras = _only_needed(members, extras, fewest)
        required_count = sum(member.required for member in members)
        if fewest <= required_count:
            fewest = 0
        if most is not None and not extras and most >= len(members):
            most = None
        bound = max(fewest, most or 0)
        if bound * (len(members) + 1) > MAX_COUNTED:
            keyword = "minProperties" if fewest else "maxProperties"
            self.notes.left[f"{plan.pointer}/{keyword}"] = keyword
            fewest, most = 0, None
        return self._fields(plan, members, extras, fewest, most)

    def _extras(self, plan: ObjectPlan, conjunction: Conjunction, fuel: int, *, spare: bool) -> list[Extra]:
        found: list[Extra] = []
        for keys, inner in plan.extras or (plan.spare if spare else ()):
            key_shape, value = self._text(keys), self._below(inner, conjunction, fuel)
            if key_shape is not None and value is not None and _keeps_apart(keys, key_shape):
                found.append(Extra(key_shape, value))
        return found

    def _fields(
        self, plan: ObjectPlan, members: list[Member], extras: list[Extra], fewest: int, most: int | None
    ) -> Shape | None:
        required = [member for member in members if member.required]
        if most is not None and len(required) > most:
            return None
        optional = sorted(
            (member for member in members if not member.required), key=lambda found: found.shape.extent.size
        )
        present = set(required) | set(optional[: max(0, fewest - len(required))])
        least = {member.key: member.shape.extent.least for member in members if member in present}
        missing = fewest - len(least)
        if missing > 0:
            if not extras:
                return None
            least |= dict.fromkeys(self._extra_keys(plan, extras[0], missing), extras[0].value.extent.least)
        if most is not None and most < fewest:
            return None
        return fields(tuple(members), tuple(extras), fewest, most, least)

    def _extra_keys(self, plan: ObjectPlan, extra: Extra, count: int) -> list[str]:
        keys = extra.key
        if not isinstance(keys, Text):
            return []
        if keys.patterns:
            return list(short_texts(keys.shortest, keys.longest, keys.patterns, count))
        return [f"{number:0{max(keys.shortest, 1)}}" for number in range(count)]


def _counted_out(shape: Shape | None) -> Shape | None:
    """A few whole numbers as constants, so that different ones can be asked for."""
    if not isinstance(shape, Number) or not shape.whole or shape.step or shape.low is None or shape.high is None:
        return shape
    if shape.high - shape.low >= MAX_UNIQUE:
        return shape
    return literals(tuple(range(int(shape.low), int(shape.high) + 1)))


def _keeps_apart(plan: TextPlan, shape: Text) -> bool:
    """Whether undeclared keys still cannot be declared ones."""
    return all(pattern in shape.patterns for pattern, _, keyword in plan.patterns if not keyword)


def _only_needed(members: list[Member], extras: list[Extra], fewest: int) -> tuple[list[Member], list[Extra]]:
    required = [member for member in members if member.required]
    missing = fewest - len(required)
    if missing <= 0:
        return required, []
    spare = sorted((member for member in members if not member.required), key=lambda found: found.shape.extent.size)
    wanted = set(spare[:missing])
    kept = [replace(member, required=True) if member in wanted else member for member in members]
    return [member for member in kept if member.required], extras if missing > len(wanted) else []


def literals(values: tuple[Json, ...]) -> Literals:
    """The shape of these values."""
    values = tuple({key(value): value for value in values}.values())
    least = min(values, key=length)
    return Literals(values, Extent(least, length(least), max(map(length, values))))


def either(options: list[Shape]) -> Shape | None:
    """Any of the options; all their constants become one."""
    constants = [option for option in options if isinstance(option, Literals)]
    if len(constants) > 1:
        joined = literals(tuple(value for option in constants for value in option.values))
        options = [joined, *(option for option in options if not isinstance(option, Literals))]
    if len(options) <= 1:
        return options[0] if options else None
    least = min((option.extent for option in options), key=lambda extent: extent.size)
    return Either(tuple(options), Extent(least.least, least.size, max(option.extent.closing for option in options)))


def items(
    first: tuple[Shape, ...],
    rest: Shape | None,
    shortest: int,
    longest: int,
    *,
    unique: bool = False,
    match: Shape | None = None,
    matches: int = 0,
) -> Items:
    """The shape of a list."""
    if unique and isinstance(rest, Literals):
        least: list[Json] = sorted(rest.values, key=length)[:shortest]
        size = length(least)
    else:
        needed = [*first[:shortest], *([match] * matches if match else [])]
        needed += [rest] * (shortest - len(needed)) if rest else []
        least = [shape.extent.least for shape in needed]
        size = 2 + sum(shape.extent.size + 2 for shape in needed)
    parts = [*first, *(shape for shape in (rest, match) if shape is not None)]
    deepest = max((shape.extent.closing for shape in parts), default=0)
    return Items(first, rest, shortest, longest, unique, match, matches, Extent(least, size, size + deepest + 2))


def fields(
    members: tuple[Member, ...], extras: tuple[Extra, ...], fewest: int, most: int | None, least: dict[str, Json]
) -> Fields:
    """The shape of an object whose shortest value is `least`."""
    size = 2 + sum(length(member.key) + member.shape.extent.size + 4 for member in members if member.key in least)
    declared = {member.key for member in members}
    size += sum(length(name) + extras[0].value.extent.size + 4 for name in least if name not in declared)
    after = 0
    closing = size
    for member in reversed(members):
        closing = max(closing, member.shape.extent.closing + after + length(member.key) + 4)
        if member.required or member.key in least:
            after += length(member.key) + member.shape.extent.size + 4
    for extra in extras:
        closing = max(closing, extra.key.extent.closing + extra.value.extent.closing + 6, size)
    return Fields(members, extras, fewest, most, Extent(least, size, closing + 1))


def _countable(step: Decimal) -> bool:
    """Whether llguidance can follow the remainders of a step. It takes others, and gives up in the middle of a call,
    some after half a minute."""
    _, digits, exponent = step.normalize().as_tuple()
    count = int(Decimal((0, digits, max(int(exponent), 0))))
    return count <= MAX_REMAINDERS or 10**5 % count == 0


def _least_number(plan: NumberPlan) -> Json:
    low, high, step = plan.low, plan.high, plan.step
    zero = Decimal(0)
    if (low is None or low < zero or (low == zero and not plan.low_open)) and (
        high is None or high > zero or (high == zero and not plan.high_open)
    ):
        return 0
    edge, sign = (low, 1) if low is not None and low >= zero else (high if high is not None else zero, -1)
    if step is not None:
        number = (edge / step).to_integral_value("ROUND_CEILING" if sign > 0 else "ROUND_FLOOR") * step
        return _json_number(number)
    whole = edge.to_integral_value("ROUND_CEILING" if sign > 0 else "ROUND_FLOOR")
    is_open = plan.low_open if sign > 0 else plan.high_open
    number = whole + sign if is_open and whole == edge else whole
    other, other_open = (high, plan.high_open) if sign > 0 else (low, plan.low_open)
    if other is not None and ((other - number) * sign < 0 or (other == number and other_open)):
        number = (low + high) / 2 if low is not None and high is not None else number
        if low == high or not is_open:
            number = edge
    return _json_number(number)


def _json_number(number: Decimal) -> Json:
    return int(number) if number == number.to_integral_value() else float(number)

"""Plans of numbers: ranges without the values left out, multiples where they are few."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from fclocal.functions import Json
from fclocal.grammar.cases import Case
from fclocal.grammar.formats import INTEGER_RANGES
from fclocal.grammar.plans import LiteralPlan, Notes, NumberPlan

MAX_HOLES = 200
MAX_MULTIPLES = 512


@dataclass(frozen=True, slots=True)
class _Range:
    low: Decimal | None
    high: Decimal | None
    low_open: bool
    high_open: bool

    @property
    def empty(self) -> bool:
        if self.low is None or self.high is None:
            return False
        return self.low > self.high or (self.low == self.high and (self.low_open or self.high_open))

    def holds(self, value: Decimal) -> bool:
        above = self.low is None or value > self.low or (value == self.low and not self.low_open)
        below = self.high is None or value < self.high or (value == self.high and not self.high_open)
        return above and below

    def few(self, step: Decimal) -> list[Decimal] | None:
        """The multiples of `step` in it, where they are few."""
        if self.low is None or self.high is None or (self.high - self.low) / step > MAX_MULTIPLES:
            return None
        first = (self.low / step).to_integral_value("ROUND_CEILING")
        last = (self.high / step).to_integral_value("ROUND_FLOOR")
        return [number * step for number in map(Decimal, range(int(first), int(last) + 1))]

    def whole(self) -> _Range:
        """The same for whole numbers, with both ends included."""
        low, high = self.low, self.high
        if low is not None:
            low = low.to_integral_value("ROUND_FLOOR") + 1 if self.low_open else low.to_integral_value("ROUND_CEILING")
        if high is not None:
            up, down = high.to_integral_value("ROUND_CEILING"), high.to_integral_value("ROUND_FLOOR")
            high = up - 1 if self.high_open else down
        return _Range(low, high, False, False)


def number_plans(case: Case, notes: Notes) -> Iterator[LiteralPlan | NumberPlan]:
    """The numbers of a case."""
    for name, _ in case.formats:
        if name in INTEGER_RANGES:
            low, high = INTEGER_RANGES[name]
            case.at_least(low, excluded=False)
            case.at_most(high, excluded=False)
    step = _common_step(case, whole=case.whole)
    everything = _Range(case.low, case.high, case.low_open, case.high_open)
    for part in _without(everything, case, notes):
        whole = case.whole or (step is not None and step == step.to_integral_value())
        yield from _plans(part, step, _stated(case), whole=whole)


def _without(everything: _Range, case: Case, notes: Notes) -> Iterator[_Range]:
    """The ranges between the values that are left out."""
    found = {Decimal(str(value)) for value in case.excluded if _is_number(value)}
    holes = sorted(hole for hole in found if everything.holds(hole))
    if len(holes) > MAX_HOLES:
        notes.leave_excluded(case)
        holes = []
    low, low_open = everything.low, everything.low_open
    for hole in holes:
        yield _Range(low, hole, low_open, True)
        low, low_open = hole, True
    yield _Range(low, everything.high, low_open, everything.high_open)


def _stated(case: Case) -> str:
    """The pointer of `multipleOf`."""
    return next((place.at("multipleOf") for place in case.places if "multipleOf" in place.schema), "")


def _plans(part: _Range, step: Decimal | None, pointer: str, *, whole: bool) -> Iterator[LiteralPlan | NumberPlan]:
    part = part.whole() if whole else part
    if part.empty:
        return
    few = part.few(step) if step is not None else None
    if few is not None:
        values = tuple(_plain(value) for value in few if part.holds(value))
        if values:
            yield LiteralPlan(values)
        return
    yield NumberPlan(whole, part.low, part.high, part.low_open, part.high_open, step, pointer)


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _common_step(case: Case, *, whole: bool) -> Decimal | None:
    """The one step whose multiples are the multiples of all (and whole)."""
    steps = [Fraction(step) for step in case.steps] + [Fraction(1)] * (whole and bool(case.steps))
    if not steps:
        return None
    over = math.lcm(*(step.numerator for step in steps))
    under = math.gcd(*(step.denominator for step in steps))
    return Decimal(over) / Decimal(under)


def _plain(number: Decimal) -> Json:
    return int(number) if number == number.to_integral_value() else float(number)

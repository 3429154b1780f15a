"""Ranges of numbers as patterns over their text."""

from __future__ import annotations

import re
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from fclocal.grammar.numbers import decimal_pattern, whole_pattern

wholes = st.one_of(st.integers(-1200, 1200), st.integers(-(10**18), 10**18))
decimals = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places), st.integers(-50_000, 50_000), st.integers(0, 3)
)
STEPS = [Decimal(text) for text in ("0", "0.001", "-0.001", "0.1", "-1", "1", "0.0001")]


@settings(max_examples=300, deadline=None)
@given(wholes, wholes, st.lists(wholes, max_size=5))
def test_whole_numbers(one: int, two: int, others: list[int]) -> None:
    low, high = sorted((one, two))
    pattern = whole_pattern(Decimal(low), Decimal(high))
    assert pattern is not None
    for number in (low, high, low - 1, high + 1, 0, *others):
        assert (re.fullmatch(pattern, str(number)) is not None) == (low <= number <= high), number


@settings(max_examples=400, deadline=None)
@given(decimals, decimals, st.booleans(), st.booleans(), st.sampled_from([None, "low", "high"]))
def test_decimal_numbers(one: Decimal, two: Decimal, low_open: bool, high_open: bool, free: str | None) -> None:
    low, high = sorted((one, two))
    least, most = (None if free == "low" else low), (None if free == "high" else high)
    pattern = decimal_pattern(least, most, low_open=low_open, high_open=high_open)
    for number in {edge + step for edge in (low, high) for step in STEPS}:
        text = f"{number:f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        if text == "-0":
            continue
        above = least is None or number > least or (number == least and not low_open)
        below = most is None or number < most or (number == most and not high_open)
        assert (pattern is not None and re.fullmatch(pattern, text) is not None) == (above and below), text


def test_numbers_without_bounds_stay_finite() -> None:
    pattern = decimal_pattern(None, None, low_open=False, high_open=False)
    assert pattern is not None
    for text in ("0", "-1", "12.5", "6.02e23", "1E-9"):
        assert re.fullmatch(pattern, text), text
    for text in ("1e999", "01", "1.", "--1", "9" * 25):
        assert not re.fullmatch(pattern, text), text
    unbounded = whole_pattern(None, None)
    assert unbounded is not None
    assert re.fullmatch(unbounded, str(2**63))
    assert not re.fullmatch(unbounded, "-0")

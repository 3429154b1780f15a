from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fclocal.tools.units import CannotConvert, convert


@pytest.mark.parametrize(
    ("value", "source", "target", "result"),
    [
        (10, "km", "miles", 6.2137),
        (1, "mile", "km", 1.609344),
        (6, "feet", "m", 1.8288),
        (6, "foot", "inches", 72),
        (5, "kg", "pounds", 11.0231),
        (1, "lb", "kg", 0.45359237),
        (3, "kilos", "lbs", 6.6139),
        (1, "stone", "lb", 14),
        (1, "tonne", "kg", 1000),
        (1, "ton", "kg", 907.18474),
        (100, "F", "C", 37.7778),
        (37, "celsius", "fahrenheit", 98.6),
        (-40, "°C", "°F", -40),
        (0, "kelvin", "degrees Celsius", -273.15),
        (70, "degrees Fahrenheit", "celsius", 21.1111),
        (1, "gallon", "liters", 3.785411784),
        (1, "imperial gallon", "litres", 4.54609),
        (2, "cups", "ml", 473.176473),
        (1, "tbsp", "tsp", 3),
        (1, "m3", "liters", 1000),
        (5, "cubic feet", "gallons", 37.4026),
        (1, "acre", "square meters", 4046.8564),
        (10, "sq ft", "m²", 0.9290304),
        (1, "km^2", "hectares", 100),
        (100, "km/h", "mph", 62.1371),
        (10, "meters per second", "kilometers per hour", 36),
        (1, "knot", "kph", 1.852),
        (90, "minutes", "hours", 1.5),
        (2, "weeks", "days", 14),
        (1, "year", "days", 365),
        (1, "GB", "MB", 1000),
        (1, "GiB", "MiB", 1024),
        (500, "megabytes", "gigabytes", 0.5),
        (1, "kb", "bytes", 1000),
        (1, "Mb", "MB", 0.125),
        (8, "bits", "byte", 1),
        (100, "Mbps", "MB/s", 12.5),
        (1, "kWh", "J", 3_600_000),
        (500, "calories", "joules", 2092),
        (1, "kcal", "kJ", 4.184),
        (100, "hp", "kW", 74.57),
        (1, "bar", "psi", 14.5038),
        (1, "atm", "kPa", 101.325),
        (180, "degrees", "radians", 3.1416),
        (1, "turn", "deg", 360),
        (60, "rpm", "Hz", 1),
    ],
)
def test_conversions(value: float, source: str, target: str, result: float) -> None:
    assert convert(value, source, target) == result


@pytest.mark.parametrize(
    "spelling",
    ["km", "KM", "kilometer", "kilometers", "kilometre", "Kilometres", " kilo-meters ".replace("-", ""), "a kilometer"],
)
def test_spellings(spelling: str) -> None:
    assert convert(1, spelling, "m") == 1000


def test_case_tells_milli_from_mega() -> None:
    assert convert(1, "mW", "W") == 0.001
    assert convert(1, "MW", "W") == 1_000_000


@pytest.mark.parametrize(
    ("source", "target", "result"), [("oz", "g", 28.3495), ("oz", "ml", 29.5735), ("m", "s", 60), ("m", "cm", 100)]
)
def test_the_other_unit_decides_what_a_spelling_means(source: str, target: str, result: float) -> None:
    assert convert(1, source, target) == result


@pytest.mark.parametrize(
    ("value", "source", "target", "parts"),
    [
        (1, "km", "kg", ["km (length)", "kg (mass)"]),
        (1, "kilometr", "miles", ["'kilometr'", "Did you mean kilomet"]),
        (1, "bananas", "apples", ["'bananas'", "'apples'"]),
        (1, "", "km", ["Unknown unit ''"]),
        (1, "x" * 5000, "km", ["Unknown unit 'xxx"]),
        (-500, "C", "K", ["absolute zero"]),
        (math.nan, "m", "km", ["out of range"]),
        (math.inf, "m", "km", ["out of range"]),
        (10**400, "m", "km", ["out of range"]),
        (1e300, "Ym", "ym", ["too large"]),
    ],
)
def test_refusals_name_the_units(value: float, source: str, target: str, parts: list[str]) -> None:
    with pytest.raises(CannotConvert) as refused:
        convert(value, source, target)
    assert all(part in str(refused.value) for part in parts)
    assert len(str(refused.value)) < 400


UNITS = [
    ("mile", "km"),
    ("lb", "g"),
    ("gallon", "l"),
    ("acre", "ha"),
    ("psi", "bar"),
    ("day", "s"),
    ("BTU", "kJ"),
    ("F", "C"),
]


@given(st.sampled_from(UNITS), st.floats(100, 1e6))
def test_there_and_back_is_where_it_began(pair: tuple[str, str], value: float) -> None:
    there = convert(value, *pair)
    assert convert(there, pair[1], pair[0]) == pytest.approx(value, rel=1e-4)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_converted_or_refused(source: str, target: str) -> None:
    try:
        assert math.isfinite(convert(1.0, source, target))
    except CannotConvert as refused:
        assert str(refused)

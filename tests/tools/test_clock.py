from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fclocal.tools.clock import UnknownZone, told

SUMMER = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
WINTER = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("place", "zone", "time"),
    [
        ("Europe/Paris", "Europe/Paris", "2026-07-01 14:00"),
        ("europe/paris", "Europe/Paris", "2026-07-01 14:00"),
        ("Paris", "Europe/Paris", "2026-07-01 14:00"),
        ("new york", "America/New_York", "2026-07-01 08:00"),
        ("New_York", "America/New_York", "2026-07-01 08:00"),
        ("Tokyo", "Asia/Tokyo", "2026-07-01 21:00"),
        ("Buenos Aires", "America/Argentina/Buenos_Aires", "2026-07-01 09:00"),
        ("São Paulo", "America/Sao_Paulo", "2026-07-01 09:00"),
        ("Zürich", "Europe/Zurich", "2026-07-01 14:00"),
        ("San Francisco", "America/Los_Angeles", "2026-07-01 05:00"),
        ("Mumbai", "Asia/Kolkata", "2026-07-01 17:30"),
        ("Beijing", "Asia/Shanghai", "2026-07-01 20:00"),
        ("UTC", "UTC", "2026-07-01 12:00"),
        ("Z", "UTC", "2026-07-01 12:00"),
        ("GMT", "GMT", "2026-07-01 12:00"),
        ("CET", "Europe/Paris", "2026-07-01 14:00"),
        ("PST", "America/Los_Angeles", "2026-07-01 05:00"),
        ("Eastern Time", "America/New_York", "2026-07-01 08:00"),
        ("UTC+2", "UTC+02:00", "2026-07-01 14:00"),
        ("GMT-5", "UTC-05:00", "2026-07-01 07:00"),
        ("+05:30", "UTC+05:30", "2026-07-01 17:30"),
        ("Etc/GMT+5", "Etc/GMT+5", "2026-07-01 07:00"),
        ("Germany", "Europe/Berlin", "2026-07-01 14:00"),
        ("Japan", "Asia/Tokyo", "2026-07-01 21:00"),
        ("North Korea", "Asia/Pyongyang", "2026-07-01 21:00"),
        ("Paris, France", "Europe/Paris", "2026-07-01 14:00"),
        ("Paris, Texas", "America/Chicago", "2026-07-01 07:00"),
        ("London, UK", "Europe/London", "2026-07-01 13:00"),
        ("Washington, D.C.", "America/New_York", "2026-07-01 08:00"),
        ("time in London", "Europe/London", "2026-07-01 13:00"),
        ("New York City", "America/New_York", "2026-07-01 08:00"),
    ],
)
def test_places(place: str, zone: str, time: str) -> None:
    assert told(SUMMER, place) == {"timezone": zone, "time": time, "weekday": "Wednesday"}


def test_daylight_saving_and_the_next_day() -> None:
    assert told(WINTER, "Paris") == {"timezone": "Europe/Paris", "time": "2027-01-01 00:30", "weekday": "Friday"}


@pytest.mark.parametrize("place", ["local", "", "  Local "])
def test_local_is_the_time_of_this_machine(place: str) -> None:
    assert told(SUMMER, place)["time"] == f"{SUMMER.astimezone():%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("place", "part"),
    [
        ("Pariss", "Did you mean Paris?"),
        ("Atlantis City of the Sea", "Use a city"),
        ("USA", "several time zones"),
        ("Russia", "several time zones"),
        ("Springfield, Nowhere", "Nowhere is not known"),
        ("UTC+99", "not a time zone"),
        ("../../etc/passwd", "No time zone"),
        ("x" * 500, "too long"),
    ],
)
def test_refusals_say_what_to_do(place: str, part: str) -> None:
    with pytest.raises(UnknownZone, match=part.replace("?", r"\?")):
        told(SUMMER, place)


@given(st.text(max_size=40))
def test_any_text_is_a_place_or_refused(place: str) -> None:
    try:
        assert set(told(SUMMER, place)) == {"timezone", "time", "weekday"}
    except UnknownZone as refused:
        assert str(refused)

"""Evidence for dates, times and durations in the forms that schemas want: ISO 8601 and its relatives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from fclocal.chat.dates import said_dates
from fclocal.chat.evidence import Evidence, first, weakest
from fclocal.chat.folding import fold
from fclocal.chat.heard import Heard
from fclocal.chat.times import parse_time

_MOMENT = re.compile(r"(?P<date>\d{4}-\d{2}-\d{2})(?:[t ]\s?(?P<time>\d{2}:\d{2}.*))?")
_MONTH = re.compile(r"(\d{4})-(\d{2})")
_DURATION = re.compile(r"p(?:(\d+)w)?(?:(\d+)d)?(?:t(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?)?")
_DAY_SECONDS = 86_400
MAX_WRITTEN = 40
MAX_DAYS = 1_000


@dataclass(frozen=True, slots=True)
class Moment:
    """What a value says of the calendar and the clock: a day (or two, where day and month may be swapped), minutes
    after midnight, or seconds of length."""

    days: frozenset[date] = frozenset()
    minutes: int | None = None
    seconds: int | None = None
    month: bool = False


def parse_moment(text: str) -> Moment | None:
    """The moment that `text` is in an ISO form, a written date ("July 5, 2025") or a clock time; else None."""
    folded = fold(text).strip()
    if match := _MOMENT.fullmatch(folded):
        minutes = parse_time(match["time"]) if match["time"] else None
        day = _iso(match["date"])
        return None if day is None or (match["time"] and minutes is None) else Moment(frozenset({day}), minutes)
    if (minutes := parse_time(folded)) is not None:
        return Moment(minutes=minutes)
    if match := _MONTH.fullmatch(folded):
        day = _iso(f"{folded}-01")
        return Moment(frozenset({day}), month=True) if day else None
    match = _DURATION.fullmatch(folded) if len(folded) > 2 else None
    if match:
        weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return Moment(seconds=weeks * 7 * _DAY_SECONDS + days * _DAY_SECONDS + hours * 3600 + minutes * 60 + seconds)
    if not folded[-1:].isdecimal() or len(folded) > MAX_WRITTEN:
        return None
    written = [said for said in said_dates(folded, date(2000, 1, 1)) if said.exact]
    whole = len(written) == 1 and written[0].start == 0 and written[0].end == len(folded)
    return Moment(written[0].days) if whole else None


def find_moment(moment: Moment, heard: Sequence[Heard]) -> Evidence | None:
    """Evidence for every part of `moment`: said, or following from what was said."""
    if moment.seconds is not None:
        seconds = moment.seconds
        return first(heard, lambda message: _duration(seconds, message))
    if not moment.days:
        return _clock(moment.minutes or 0, heard)
    day = _calendar(moment.days, heard, month=moment.month)
    if day is None or moment.minutes is None:
        return day
    clock = _clock(moment.minutes, heard)
    if clock is None and moment.minutes == 0:
        return day.implied
    return weakest([day, clock])


def _calendar(days: frozenset[date], heard: Sequence[Heard], *, month: bool) -> Evidence | None:
    def said(message: Heard) -> tuple[int, int, bool] | None:
        other = None
        for found in message.dates:
            if found.days & days or (month and any(one.replace(day=1) in days for one in found.days)):
                if found.exact:
                    return found.start, found.end, True
                other = other or (found.start, found.end, False)
        return other

    return first(heard, said) or _sum_of_days(days, heard)


def _sum_of_days(days: frozenset[date], heard: Sequence[Heard]) -> Evidence | None:
    """A date that was said and a length that was said after it, "from 1 August for a week"."""
    starts = {one for message in heard for found in message.dates[:20] for one in found.days}

    def length(message: Heard) -> tuple[int, int, bool] | None:
        for quantity in message.quantities:
            count = quantity.amount / _DAY_SECONDS
            if quantity.kind != "time" or not 1 <= count < MAX_DAYS:
                continue
            if any(day - timedelta(days=round(count)) in starts for day in days if day.year > 5):
                return quantity.start, quantity.end, False
        return None

    return first(heard, length) if starts else None


def _clock(minutes: int, heard: Sequence[Heard]) -> Evidence | None:
    def said(message: Heard) -> tuple[int, int, bool] | None:
        other = None
        for found in message.times:
            if minutes in found.minutes:
                if found.exact:
                    return found.start, found.end, True
                other = other or (found.start, found.end, False)
        return other

    return first(heard, said) or _sum_of_minutes(minutes, heard)


def _sum_of_minutes(minutes: int, heard: Sequence[Heard]) -> Evidence | None:
    """A time that was said and a length that was said, "at 3 for an hour"."""
    starts = {one for message in heard for found in message.times[:20] for one in found.minutes}

    def length(message: Heard) -> tuple[int, int, bool] | None:
        for quantity in message.quantities:
            start = (minutes - round(quantity.amount / 60)) % 1440
            if quantity.kind == "time" and quantity.amount < _DAY_SECONDS and start in starts:
                return quantity.start, quantity.end, False
        return None

    return first(heard, length) if starts else None


def _duration(seconds: int, message: Heard) -> tuple[int, int, bool] | None:
    for quantity in message.quantities:
        if quantity.kind == "time" and round(quantity.amount) == seconds:
            return quantity.start, quantity.end, True
    return None


def _iso(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None

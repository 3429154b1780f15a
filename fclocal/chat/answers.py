"""Dates and times that a person typed, as the strings that JSON Schema's formats want."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time

from fclocal.chat.dates import said_dates
from fclocal.chat.folding import fold
from fclocal.chat.times import parse_time, said_times
from fclocal.functions import JsonObject
from fclocal.grammar.check import Problem, check

FORMATS = ("date", "time", "date-time")
MAX_ANSWER = 80


def read_moment(text: str, schema: JsonObject, today: date) -> str | Problem | None:
    """The date or time that `text` says, in the format of `schema`; None when it is no such schema or fits already.

    Gives a Problem where the words may mean two days, or two times of the day.
    """
    wanted = schema.get("format")
    if wanted not in FORMATS or len(text) > MAX_ANSWER or not check(text, schema):
        return None
    folded = fold(text)
    day = _day(folded, today) if wanted != "time" else today
    clock = _clock(folded) if wanted != "date" else time()
    for part in (day, clock):
        if isinstance(part, Problem):
            return part
    if not isinstance(day, date) or not isinstance(clock, time):
        example = {"date": "2025-03-31", "time": "14:30", "date-time": "2025-03-31 14:30"}[wanted]
        return Problem("", "format", f"{text[:60]!r} is not understood. Write it like {example}.")
    forms = list(_written(wanted, datetime.combine(day, clock)))
    return next((form for form in forms if not check(form, schema)), forms[0])


def _written(wanted: str, moment: datetime) -> Iterator[str]:
    if wanted == "date":
        yield moment.date().isoformat()
        return
    for one in (moment, moment.astimezone()):
        yield one.isoformat() if wanted == "date-time" else one.timetz().isoformat()


def _day(folded: str, today: date) -> date | Problem | None:
    found = list(said_dates(folded, today))
    if not found:
        return None
    days = sorted(found[0].days)
    if found[0].exact and len(days) > 1:
        if "." not in folded:
            return _either([day.isoformat() for day in days])
        return next(day for day in days if int(folded[found[0].start :].split(".", 1)[0]) == day.day)
    return next((day for day in days if day >= today), days[0])


def _clock(folded: str) -> time | Problem | None:
    minutes = parse_time(folded)
    if minutes is not None:
        return time(*divmod(minutes, 60))
    found = next(said_times(folded if any(char.isalpha() for char in folded) else f"at {folded}"), None)
    if found is None:
        return None
    options = sorted(found.minutes)
    if len(options) > 1:
        return _either([f"{hour:02}:{minute:02}" for hour, minute in (divmod(option, 60) for option in options)])
    return time(*divmod(options[0], 60))


def _either(options: Sequence[str]) -> Problem:
    return Problem("", "format", f"Do you mean {' or '.join(options)}?")

"""Dates as people say them: "tomorrow", "next Friday", "July 5", "5.7.2024". Reads folded text; knows the calendar."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain

from fclocal.chat.numbers import ORDINALS, SMALL

MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTH = {name: number for number, name in enumerate(MONTHS, 1)}
_MONTH |= {name[:3]: number for name, number in _MONTH.items()} | {"sept": 9}
_WEEKDAY = {name: number for number, name in enumerate(WEEKDAYS)}
_WEEKDAY |= {name[:3]: number for name, number in _WEEKDAY.items()} | {"tues": 1, "weds": 2, "thur": 3, "thurs": 3}
_DAY_WORDS = {
    f"{tens}{joint}{one}": value + ORDINALS[one]
    for tens, value in (("twenty", 20), ("thirty", 30))
    for one in list(ORDINALS)[:9]
    for joint in ("-", " ")
}
_DAY_WORDS |= {word: value for word, value in ORDINALS.items() if value <= 31}
_RELATIVE = {"day before yesterday": -2, "yesterday": -1, "today": 0, "tonight": 0, "this morning": 0, "now": 0}
_RELATIVE |= {"this afternoon": 0, "this evening": 0, "tomorrow": 1, "tmrw": 1, "day after tomorrow": 2}
_FEASTS = {"christmas eve": (12, 24), "christmas day": (12, 25), "christmas": (12, 25), "xmas": (12, 25)}
_FEASTS |= {"boxing day": (12, 26), "new year's eve": (12, 31), "new years eve": (12, 31), "new year's day": (1, 1)}
_FEASTS |= {"new years day": (1, 1), "new year": (1, 1), "halloween": (10, 31), "valentine's day": (2, 14)}
_FEASTS |= {"valentines day": (2, 14), "may day": (5, 1), "april fools": (4, 1), "independence day": (7, 4)}
_COUNT = "|".join((r"\d{1,3}", "an?", "one", "a couple of", *(word for word in SMALL if word not in ("zero", "one"))))
_DAY = rf"(?:(?P<day>\d{{1,2}})(?:st|nd|rd|th)?|(?P<dayword>{'|'.join(sorted(_DAY_WORDS, key=len, reverse=True))}))"
_MONTH_NAME = rf"(?P<month>{'|'.join(sorted(_MONTH, key=len, reverse=True))})\b\.?"
_YEAR = r"(?:,?\s+(?:of\s+)?(?:(?P<year>(?:1[89]|20)\d\d)|'?(?P<short>[0-4]\d))\b(?!:))?"
_MONTH_WORD = re.compile(rf"(?<![^\W\d_]){_MONTH_NAME}")
NEAR = 24
_ISO = re.compile(r"(?<!\d)(?P<year>\d{4})([-/.])(?P<month>\d{1,2})\2(?P<day>\d{1,2})(?!\d)")
_NUMERIC = re.compile(r"(?<![\d.])(?P<first>\d{1,2})([./-])\s?(?P<second>\d{1,2})\2\s?(?P<year>\d{4}|\d{2})(?!\d)")
_SHORT = re.compile(r"(?<![\d./])(?P<first>\d{1,2})([./])\s?(?P<second>\d{1,2})\2?(?![\d/])")
_DAY_MONTH = re.compile(rf"\b{_DAY}(?:\s+day)?\s*(?:of\s+|-)?{_MONTH_NAME}{_YEAR}")
_MONTH_DAY = re.compile(rf"\b{_MONTH_NAME}\s*(?:the\s+)?{_DAY}(?![\w:]){_YEAR}")
_MONTH_YEAR = re.compile(rf"(?:\b(?:in|of|this|next|last|by|until|for)\s+)?\b{_MONTH_NAME}{_YEAR}")
_MONTH_END = re.compile(rf"\b(?P<part>end|start|beginning|middle|mid)(?:\s+of)?[\s-]+{_MONTH_NAME}")
_ALONE = re.compile(rf"\bthe\s+{_DAY}\b(?!\s*(?:of\s+)?(?:{'|'.join(_MONTH)})\b)")
_DIGIT_ORDINAL = re.compile(r"(?<!\w)(?P<day>\d{1,2})(?:st|nd|rd|th)\b")
_NAMED = re.compile("|".join(rf"\b{word}\b" for word in sorted((*_RELATIVE, *_FEASTS), key=len, reverse=True)))
_WEEK = re.compile(
    r"\b(?:(?P<which>this|next|coming|last|past|following)\s+)?"
    rf"(?P<weekday>{'|'.join(sorted(_WEEKDAY, key=len, reverse=True))})s?\b"
)
_SPAN = re.compile(r"\b(?P<which>this|next|coming|last|the|end of the|end of)\s+(?P<unit>weekend|week|month|year)\b")
_OFFSET = re.compile(
    rf"\b(?:in|within|after)\s+(?P<count>{_COUNT})\s+(?P<unit>day|week|month|year|fortnight)s?\b"
    rf"|\b(?P<count2>{_COUNT})\s+(?P<unit2>day|week|month|year|fortnight)s?\s+"
    r"(?P<way>from\s+(?:now|today|tomorrow)|later|ago|hence)\b"
)
_LOOKS_BACK = re.compile(
    r"\b(?:last|was|were|did|had|since|ago|born|previous|paid|bought|spent|went|ran|ate|took|got|made|sold|swam|slept"
    r"|(?:walk|work|visit|order|receiv|play|cycl|jogg|finish|start|happen|miss|call|arriv|return|train|watch|bik|us)ed)\b"
)
_CJK_DATE = re.compile(r"(?:(?P<year>\d{4})\s?[年년]\s?)?(?P<month>\d{1,2})\s?[月월]\s?(?P<day>\d{1,2})\s?[日号號일]")


@dataclass(frozen=True, slots=True)
class SaidDate:
    """Words that name a day, and the days they may mean; `exact` when they leave no choice."""

    days: frozenset[date]
    start: int
    end: int
    exact: bool


def said_dates(folded: str, today: date) -> Iterator[SaidDate]:
    """Every date in `folded`; what is relative is counted from `today`.

    A day without a year is the next one, or one that just passed; a year ago only where the words look back.
    """
    taken: list[tuple[int, int]] = []
    forms = (_full, _in_months, _days, _named, _offsets, _weekdays)
    for said in chain.from_iterable(form(folded, today) for form in forms):
        if not any(start < said.end and said.start < end for start, end in taken):
            taken.append((said.start, said.end))
            yield said


def explicit_dates(folded: str) -> Iterator[date]:
    """Full dates with a year in digits, in ISO form."""
    for match in _ISO.finditer(folded):
        if day := _day(match["year"], match["month"], match["day"]):
            yield day


def _full(folded: str, today: date) -> Iterator[SaidDate]:
    """Dates in digits with their year."""
    for match in _ISO.finditer(folded):
        yield from _said(match, [_day(match["year"], match["month"], match["day"])])
    for match in _NUMERIC.finditer(folded):
        year = match["year"] if len(match["year"]) == 4 else f"20{match['year']}"
        yield from _said(match, _orders(year, match["first"], match["second"]))


def _days(folded: str, today: date) -> Iterator[SaidDate]:
    """Days of a month that is not named: "the 12th", "the third"."""
    for pattern in (_ALONE, _DIGIT_ORDINAL):
        for match in pattern.finditer(folded):
            yield from _said(match, _next_two(today, _number_of_day(match)), exact=False)


def _in_months(folded: str, today: date) -> Iterator[SaidDate]:
    """Dates of which the year may be left out."""
    months, shorts = list(_MONTH_WORD.finditer(folded)), list(_SHORT.finditer(folded))
    numbered = list(_CJK_DATE.finditer(folded))
    if not months and not shorts and not numbered:
        return
    back = _LOOKS_BACK.search(folded) is not None
    both = (*_beside(_DAY_MONTH, months, folded), *_beside(_MONTH_DAY, months, folded))
    for match in (*both, *numbered):
        yield from _day_of_month(match, today, back=back)
    for match in shorts:
        days = [*_any_year(today, match["second"], match["first"], back=back)]
        yield from _said(match, [*days, *_any_year(today, match["first"], match["second"], back=back)], exact=False)
    for match in _beside(_MONTH_END, months, folded):
        firsts = _any_year(today, _MONTH[match["month"]], 1, back=back)
        yield from _said(match, [_part_of_month(match["part"], one) for one in firsts if one], exact=False)
    for match in _beside(_MONTH_YEAR, months, folded):
        month = _MONTH[match["month"]]
        if match["year"]:
            yield from _said(match, [_day(match["year"], month, 1)], exact=False)
        elif match.start() < match.start("month"):
            yield from _said(match, list(_any_year(today, month, 1, back=back)), exact=False)


def _part_of_month(part: str, first: date) -> date:
    if part == "end":
        return _last_of_month(first)
    return first.replace(day=15) if part.startswith("mid") else first


def _beside(pattern: re.Pattern[str], months: Sequence[re.Match[str]], folded: str) -> Iterator[re.Match[str]]:
    """The matches of a slow pattern around the names of months."""
    end = 0
    for month in months:
        found = pattern.search(folded, max(end, month.start() - NEAR), month.end() + NEAR)
        if found and found.start() <= month.start() < found.end():
            end = found.end()
            yield found


def _next_two(today: date, day: int) -> list[date]:
    """The next two days that are number `day` of their month."""
    months = (shift(today.replace(day=1), ahead, "month") for ahead in range(4))
    found = (_day(month.year, month.month, day) for month in months if month)
    return [one for one in found if one and one >= today][:2]


def _day_of_month(match: re.Match[str], today: date, *, back: bool) -> Iterator[SaidDate]:
    month = match["month"]
    number = int(month) if month.isdecimal() else _MONTH[month]
    day = _number_of_day(match)
    if match["year"]:
        yield from _said(match, [_day(match["year"], number, day)])
        return
    days = list(_any_year(today, number, day, back=back))
    if match.groupdict().get("short"):
        days.append(_day(f"20{match['short']}", number, day))
    yield from _said(match, days, exact=False)


def _number_of_day(match: re.Match[str]) -> int:
    groups = match.groupdict()
    return int(groups["day"]) if groups.get("day") else _DAY_WORDS[match["dayword"]]


def _named(folded: str, today: date) -> Iterator[SaidDate]:
    for match in _NAMED.finditer(folded):
        offset = _RELATIVE.get(match.group())
        if offset is not None:
            yield from _said(match, [today + timedelta(days=offset)], exact=False)
        else:
            month, day = _FEASTS[match.group()]
            yield from _said(match, list(_any_year(today, month, day, back=False)), exact=False)
    for match in _SPAN.finditer(folded):
        yield from _said(match, list(_span_days(match["which"], match["unit"], today)), exact=False)


def _span_days(which: str, unit: str, today: date) -> Iterator[date | None]:
    """The days a person may mean by "this weekend", "next week", "end of the month"."""
    monday = today - timedelta(days=today.weekday())
    back = which == "last"
    if unit == "weekend":
        for week in (-1,) if back else (0, 1) if which == "next" else (0,):
            yield from (monday + timedelta(days=7 * week + day) for day in (4, 5, 6))
    elif unit == "week":
        start = monday + timedelta(days=-7 if back else 7 if which in ("next", "coming") else 0)
        yield from (start, today + timedelta(days=-7 if back else 7))
        yield start + timedelta(days=4) if which.startswith("end") else start
    elif unit == "month":
        yield _last_of_month(today)
        turn = today.month - 2 if back else today.month if which in ("next", "coming") else today.month - 1
        year, month = today.year + turn // 12, turn % 12 + 1
        yield from (_day(year, month, 1), _day(year, month, today.day))
    else:
        year = today.year + (-1 if back else 1 if which in ("next", "coming") else 0)
        yield from (_day(year, 1, 1), _day(year, today.month, today.day), _day(year, 12, 31))


def _weekdays(folded: str, today: date) -> Iterator[SaidDate]:
    for match in _WEEK.finditer(folded):
        ahead = (_WEEKDAY[match["weekday"]] - today.weekday()) % 7
        which = match["which"]
        if which in ("last", "past"):
            offsets = [ahead - 7, ahead - 14] if which == "last" else [ahead - 7]
        elif which in ("next", "following"):
            offsets = [ahead, ahead + 7] if ahead else [7]
        else:
            offsets = [ahead or 7, ahead, *([ahead - 7] if _LOOKS_BACK.search(folded) else [])]
        yield from _said(match, [today + timedelta(days=offset) for offset in offsets], exact=False)


def _offsets(folded: str, today: date) -> Iterator[SaidDate]:
    for match in _OFFSET.finditer(folded):
        count = _count(match["count"] or match["count2"])
        unit = match["unit"] or match["unit2"]
        way = match["way"] or ""
        base = today + timedelta(days=1) if way.endswith("tomorrow") else today
        yield from _said(match, [shift(base, -count if way == "ago" else count, unit)], exact=False)


def shift(day: date, count: int, unit: str) -> date | None:
    """`day` moved by `count` days, weeks, fortnights, months or years; None outside the calendar."""
    try:
        if unit in ("month", "year"):
            turn = day.month - 1 + count * (12 if unit == "year" else 1)
            first = date(day.year + turn // 12, turn % 12 + 1, 1)
            return first.replace(day=min(day.day, _last_of_month(first).day))
        return day + timedelta(days=count * {"day": 1, "week": 7, "fortnight": 14}[unit])
    except (ValueError, OverflowError):
        return None


def _count(words: str) -> int:
    if words.isdecimal():
        return int(words)
    return SMALL.get(words, 2 if words.startswith("a couple") else 1)


def _last_of_month(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def _any_year(today: date, month: int | str, day: int | str, *, back: bool) -> Iterator[date | None]:
    """The day in this year, in the next once it is over, and in the last where the words look back."""
    this = _day(today.year, month, day)
    yield this
    if this is None or this < today:
        yield _day(today.year + 1, month, day)
    if back or this is None:
        yield _day(today.year - 1, month, day)


def _orders(year: int | str, first: str, second: str) -> list[date | None]:
    return [_day(year, second, first), _day(year, first, second)]


def _day(year: int | str, month: int | str, day: int | str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except (ValueError, OverflowError):
        return None


def _said(match: re.Match[str], days: Sequence[date | None], *, exact: bool = True) -> Iterator[SaidDate]:
    found = frozenset(filter(None, days))
    if found:
        yield SaidDate(found, match.start(), match.end(), exact)

"""Times of day as people say them: "half past seven", "7 pm", "18.30", "noon". Reads folded text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fclocal.chat.numbers import SMALL

_HOURS = {word: value for word, value in SMALL.items() if 1 <= value <= 12}
_HOUR = rf"(?P<hour>\d{{1,2}}|{'|'.join(_HOURS)})"
_HALF_DAY = (
    r"(?:\s*(?P<half>a\.?\s?m\b\.?|p\.?\s?m\b\.?)"
    r"|\s+(?:in the |at |this |tomorrow |on \w+ )?(?P<part>morning|afternoon|evening|night)\b)?"
)
_ROUND = "|".join(("quarter", "half", *(word for word, value in SMALL.items() if value in (5, 10, 20))))
_DIGITAL = re.compile(
    r"(?<![\d.:/])(?P<hour>[01]?\d|2[0-4])[:.h](?P<minute>[0-5]\d)(?::[0-5]\d)?(?![\d/%]|\.\d)" + _HALF_DAY
)
_WITH_HALF = re.compile(
    rf"(?<![\w.:/]){_HOUR}(?=\s*[ap]\.?\s?m\b|\s+in the |\s+o'?clock|\s+at night|\s+tonight)(?:\s+o'?clock)?{_HALF_DAY}"
)
_BARE = re.compile(
    r"\b(?:at|from|to|until|till|by|before|after|around|about|between|and|is|@)\s+(?:about\s+)?"
    rf"{_HOUR}(?![\w:/%]|[.,]\d)(?:\s+o'?clock)?{_HALF_DAY}"
)
_RANGE_HALF = re.compile(rf"{_HOUR}\s*(?:-|to|and|until|till)\s*(?:\d{{1,2}})\s*(?P<half>[ap])\.?m\b")
_PAST = re.compile(
    rf"\b(?:a\s+)?(?:(?P<round>{_ROUND})(?:\s+minutes)?\s+(?P<way>past|after|to|before|till)"
    rf"|(?P<digits>\d{{1,2}})\s+(?:minutes\s+)?(?P<way2>past))\s+{_HOUR}\b{_HALF_DAY}"
)
_HALF_HOUR = re.compile(rf"\bhalf\s+{_HOUR}\b{_HALF_DAY}")
_MILITARY = re.compile(
    r"\b(?:at|by|until|till|from|to)\s+(?P<hour>[01]\d|2[0-3])(?P<minute>[0-5]\d)(?![\w:])"
    r"|(?<![\w.,])(?P<hour2>[01]?\d|2[0-4])\s?(?:h|uhr)(?!\w)"
)
_NAMED = re.compile(r"\b(noon|midday|midnight)\b")
_VALUE = re.compile(
    r"(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?::[0-5]\d(?:\.\d+)?)?"
    r"\s*(?P<half>[ap]\.?m\.?)?(?:z|[+-]\d\d:?\d\d)?"
)
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class SaidTime:
    """Words that name a time, and the minutes after midnight they may mean; `exact` when they leave no choice."""

    minutes: frozenset[int]
    start: int
    end: int
    exact: bool


def said_times(folded: str) -> Iterator[SaidTime]:
    """Every time of day in `folded`."""
    taken: list[tuple[int, int]] = []
    for said in _readings(folded):
        if not any(start < said.end and said.start < end for start, end in taken):
            taken.append((said.start, said.end))
            yield said


def _readings(folded: str) -> Iterator[SaidTime]:
    """Times in every form, the more telling forms first."""
    for match in _NAMED.finditer(folded):
        yield SaidTime(frozenset({0 if match.group() == "midnight" else 720}), match.start(), match.end(), True)
    for match in _DIGITAL.finditer(folded):
        yield _read(match, int(match["hour"]) % 24 * 60 + int(match["minute"]), exact=True)
    for match in _PAST.finditer(folded):
        part = match["round"]
        count = {"quarter": 15, "half": 30}.get(part) or SMALL.get(part) or int(match["digits"])
        sign = 1 if match["way2"] or match["way"] in ("past", "after") else -1
        yield _read(match, _hour(match) * 60 + sign * count, exact=False)
    for match in _HALF_HOUR.finditer(folded):
        found = _read(match, _hour(match) * 60 + 30, exact=False)
        earlier = frozenset((minutes - 60) % _DAY_MINUTES for minutes in found.minutes)
        yield SaidTime(found.minutes | earlier, found.start, found.end, False)
    for match in _RANGE_HALF.finditer(folded):
        yield _first_of_range(match)
    for match in _MILITARY.finditer(folded):
        yield _read(match, int(match["hour"] or match["hour2"]) * 60 + int(match["minute"] or 0), exact=False)
    for match in _WITH_HALF.finditer(folded):
        yield _read(match, _hour(match) * 60, exact=bool(match["half"]))
    for match in _BARE.finditer(folded):
        if _hour(match) <= 24:
            yield _read(match, _hour(match) * 60, exact=False)


def _first_of_range(match: re.Match[str]) -> SaidTime:
    """The 3 of "3 to 4 pm"."""
    found = _read(match, _hour(match) * 60, exact=False)
    return SaidTime(found.minutes, match.start("hour"), match.end("hour"), False)


def parse_time(text: str) -> int | None:
    """Minutes after midnight of a value such as "19:30", "19:30:00Z" or "7:30 PM"; None when it is no time."""
    match = _VALUE.fullmatch(text.strip().lower())
    if match is None:
        return None
    half = match["half"] or ""
    hour = int(match["hour"])
    if half:
        if hour > 12:
            return None
        hour = hour % 12 + (12 if half.startswith("p") else 0)
    return hour * 60 + int(match["minute"])


def _hour(match: re.Match[str]) -> int:
    hour = match["hour"]
    return int(hour) if hour.isdecimal() else _HOURS[hour]


def _read(match: re.Match[str], minutes: int, *, exact: bool) -> SaidTime:
    """The time with the half of the day that was said, or both halves."""
    groups = match.groupdict()
    half, part = groups.get("half") or "", groups.get("part") or ""
    twelve = minutes % 720
    if half.startswith("p") or part in ("afternoon", "evening"):
        found = {twelve + 720}
    elif half.startswith("a") or part == "morning":
        found = {twelve}
    elif minutes >= 13 * 60 or minutes < 0:
        return SaidTime(frozenset({minutes % _DAY_MINUTES, twelve + 720}), match.start(), match.end(), exact)
    else:
        return SaidTime(frozenset({twelve, twelve + 720}), match.start(), match.end(), False)
    return SaidTime(frozenset(found), match.start(), match.end(), exact)

"""Tell the time in a zone, city or country. Knows the tz database and zones.toml."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

from fclocal.paths import package_file

MAX_LENGTH = 100

_OFFSET = re.compile(r"(?:utc|gmt)?\s*([+-])\s*(\d{1,2})(?::?([0-5]\d))?", re.IGNORECASE)
_WORDS = re.compile(r"\b(?:local )?(?:time ?zone|time|the|in|city of|current)\b")
_LOCALTIME = Path("/etc/localtime")


class UnknownZone(Exception):
    """No zone or city of that name, as a sentence."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone and the name to show for it."""

    name: str
    rules: tzinfo


def told(now: datetime, place: str) -> Mapping[str, str]:
    """The date and time of `now` (aware) at `place`, to the minute. Raises UnknownZone."""
    zone = find_zone(place, now)
    there = now.astimezone(zone.rules)
    return {"timezone": zone.name, "time": f"{there:%Y-%m-%d %H:%M}", "weekday": _WEEKDAYS[there.weekday()]}


_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def find_zone(place: str, now: datetime) -> Zone:
    """The zone of a tz name, an abbreviation, an offset, a city or a country; "local" or nothing is this machine's.

    Raises UnknownZone with the nearest known name, or with the zones of a country that has several.
    """
    if len(place) > MAX_LENGTH:
        raise UnknownZone("The name of the time zone is too long.")
    name = _folded(place)
    if name in ("", "local", "here", "local time", "system"):
        return _local(now)
    if (offset := _OFFSET.fullmatch(name)) is not None:
        return _fixed(offset)
    key = _find(name, now) or _find(_WORDS.sub(" ", name), now)
    if key is None:
        raise UnknownZone(_unknown(place, name))
    return Zone(key, ZoneInfo(key))


def _find(name: str, now: datetime) -> str | None:
    name = " ".join(name.split())
    names = _names()
    if "/" in name:
        return names.zones.get(name)
    city, _, region = (part.strip() for part in name.partition(","))
    if region:
        return _in_region(city, region, now)
    for known in (names.abbreviations, names.cities, names.countries, names.states):
        if name in known:
            return _one_zone(name, known[name], now)
    if name.endswith(" city"):
        return _find(name.removesuffix(" city"), now)
    return names.zones.get(name)


def _in_region(city: str, region: str, now: datetime) -> str | None:
    """The city's zone if it lies in that country or state; else the region's own."""
    names = _names()
    zones = names.countries.get(region) or names.states.get(region) or names.cities.get(region)
    if zones is None:
        raise UnknownZone(
            f"{region.title()} is not known here as a country or state. Name the city alone, or its zone."
        )
    found = names.cities.get(city, ())
    inside = [zone for zone in found if zone in zones]
    return _one_zone(f"{city}, {region}", tuple(inside) or zones, now)


def _one_zone(name: str, zones: tuple[str, ...], now: datetime) -> str:
    """The first zone, when all of them show the same time now."""
    if len({now.astimezone(ZoneInfo(zone)).utcoffset() for zone in zones}) > 1:
        called = name.upper() if len(name) < 4 else name.title()
        raise UnknownZone(f"{called} has several time zones. Name one of them, for example {', '.join(zones[:4])}.")
    return zones[0]


def _unknown(place: str, name: str) -> str:
    names = _names()
    near = get_close_matches(name, [*names.cities, *names.countries, *names.zones], 1, 0.75)
    hint = f" Did you mean {near[0].title()}?" if near else " Use a city or a name like Europe/Paris."
    return f"No time zone is known for {place.strip()[:60]!r}.{hint}"


def _fixed(offset: re.Match[str]) -> Zone:
    sign, hours, minutes = offset[1], int(offset[2]), int(offset[3] or 0)
    if hours > 14:
        raise UnknownZone(f"UTC{sign}{hours} is not a time zone: offsets go from -12 to +14.")
    away = timedelta(hours=hours, minutes=minutes) * (-1 if sign == "-" else 1)
    return Zone(f"UTC{sign}{hours:02d}:{minutes:02d}", timezone(away))


def _local(now: datetime) -> Zone:
    here = now.astimezone()
    assert here.tzinfo is not None
    try:
        _, found, key = str(_LOCALTIME.readlink()).partition("zoneinfo/")
    except OSError:
        found = key = ""
    if found and key in _names().zones.values() and now.astimezone(ZoneInfo(key)).utcoffset() == here.utcoffset():
        return Zone("UTC" if key == "Etc/UTC" else key, ZoneInfo(key))
    return Zone(here.tzname() or "local", here.tzinfo)


def _folded(text: str) -> str:
    """Lower case, without accents, underscores and repeated blanks."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("_", " ").replace(".", "").replace("−", "-"))
    return " ".join("".join(char for char in plain if not unicodedata.combining(char)).split())


@dataclass(frozen=True, slots=True)
class _Names:
    zones: Mapping[str, str]
    abbreviations: Mapping[str, tuple[str, ...]]
    cities: Mapping[str, tuple[str, ...]]
    countries: Mapping[str, tuple[str, ...]]
    states: Mapping[str, tuple[str, ...]]


@cache
def _names() -> _Names:
    """Folded name -> zones. Abbreviations come first: the tz database has its own, fixed EST and inverted Etc/GMT+5."""
    listed = tomllib.loads(package_file("tools/zones.toml").read_text("utf-8"))
    known = {kind: _listed(table) for kind, table in listed.items()}
    keys = (resources.files("tzdata") / "zones").read_text("utf-8").split()
    countries, canonical = _countries()
    cities: dict[str, tuple[str, ...]] = {}
    for key in sorted(keys, key=lambda key: key not in canonical):
        if "/" in key and not key.startswith("Etc/"):
            cities.setdefault(_folded(key.rsplit("/", 1)[1]), (key,))
    return _Names(
        {_folded(key): key for key in keys},
        known["abbreviations"],
        {**cities, **known["cities"]},
        countries,
        known["states"],
    )


def _listed(table: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for zone, names in table.items():
        for name in names.split(";"):
            found[_folded(name)] = (*found.get(_folded(name), ()), zone)
    return found


def _countries() -> tuple[dict[str, tuple[str, ...]], frozenset[str]]:
    """Country names and codes -> zones, from zone.tab and iso3166.tab; and all zones named there."""
    folder = resources.files("tzdata") / "zoneinfo"
    zones: dict[str, list[str]] = {}
    for row in _rows((folder / "zone.tab").read_text("utf-8")):
        zones.setdefault(row[0], []).append(row[2])
    found: dict[str, tuple[str, ...]] = {}
    for code, name in _rows((folder / "iso3166.tab").read_text("utf-8")):
        if code in zones:
            for spelling in (name, code, re.sub(r" \(.*\)", "", name), re.sub(r"(.*) \((.*)\)", r"\2 \1", name)):
                found[_folded(spelling)] = tuple(zones[code])
    for alias, code in (("usa", "US"), ("united states of america", "US"), ("america", "US"), ("united kingdom", "GB")):
        found[alias] = tuple(zones[code])
    return found, frozenset(zone for listed in zones.values() for zone in listed)


def _rows(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]

"""Countries and time zones under their names, from the tables that come with the tz database."""

from __future__ import annotations

from functools import cache
from importlib import resources

from fclocal.chat.folding import fold

_MORE: dict[str, tuple[str, ...]] = {
    "gb": ("united kingdom", "great britain", "england", "uk"),
    "us": ("united states", "usa", "america", "us"),
}
_MORE |= {"ae": ("united arab emirates", "emirates", "uae"), "kr": ("south korea", "korea"), "kp": ("north korea",)}
_MORE |= {"cz": ("czech republic", "czechia"), "nl": ("netherlands", "holland"), "ru": ("russia",), "cn": ("china",)}
_ZONES = {
    "america/new_york": ("eastern time", "eastern", "est", "edt", "boston", "washington", "miami", "atlanta"),
    "america/chicago": ("central time", "cst", "cdt", "dallas", "houston"),
    "america/denver": ("mountain time", "mst", "mdt"),
    "america/los_angeles": ("pacific time", "pst", "pdt", "la", "san francisco", "seattle", "san diego", "california"),
    "europe/london": ("gmt", "bst", "greenwich"),
    "europe/berlin": ("cet", "cest", "central european time", "munich", "hamburg", "frankfurt", "cologne"),
    "asia/kolkata": ("ist", "delhi", "mumbai", "bangalore", "india", "calcutta"),
    "asia/shanghai": ("beijing", "china"),
    "asia/tokyo": ("jst", "osaka", "kyoto"),
}


def zone_places(zone: str) -> tuple[str, ...]:
    """What people call a time zone such as Europe/Paris: its city, its countries, its abbreviations."""
    folded = fold(zone)
    city = folded.rsplit("/", 1)[-1].replace("_", " ")
    return (folded, city, *_ZONES.get(folded, ()), *_countries_of(folded))


def country_names(word: str) -> tuple[str, ...]:
    """Every name of the country whose code or name is `word` (folded), and its code; empty for anything else."""
    names = _names()
    code = word if word in names else next((code for code, found in names.items() if word in found), None)
    return (*names[code], code) if code and (len(word) > 2 or word == code) else ()


def _countries_of(zone: str) -> tuple[str, ...]:
    return tuple(name for code in _zone_codes().get(zone, ()) for name in _names().get(code, ()))


@cache
def _names() -> dict[str, tuple[str, ...]]:
    """Country code -> names, all folded."""
    found = {}
    for code, name in _rows("iso3166.tab"):
        plain = name.split(" (")[0].removesuffix(" Rep.")
        found[fold(code)] = (*_MORE.get(fold(code), ()), fold(plain))
    return found


@cache
def _zone_codes() -> dict[str, tuple[str, ...]]:
    """Time zone -> codes of its countries, all folded."""
    return {fold(row[2]): tuple(fold(row[0]).split(",")) for row in _rows("zone1970.tab") if len(row) > 2}


def _rows(name: str) -> list[list[str]]:
    """The rows of a table of the tz database; none when it is not installed."""
    try:
        text = resources.files("tzdata.zoneinfo").joinpath(name).read_text("utf-8")
    except (ModuleNotFoundError, FileNotFoundError):
        return []
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]

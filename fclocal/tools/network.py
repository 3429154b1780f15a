"""The functions that ask other hosts: weather, papers, the web. Knows their public interfaces and their failures.

Sources: open-meteo.com/en/docs, info.arxiv.org/help/api/user-manual.html, docs.searxng.org/dev/search_api.html,
api-dashboard.search.brave.com/app/documentation/web-search.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fclocal import paths
from fclocal.config import Search
from fclocal.functions import Json, JsonObject
from fclocal.tools.arxiv import Unreadable, query_of, read_feed

if TYPE_CHECKING:
    import httpx

MAX_RESULTS = 5
MAX_BODY = 4 * 2**20
MAX_SNIPPET = 300
MAX_QUERY = 400
SECONDS = 10.0

# WMO code table 4677, as Open-Meteo gives it.
_SKY = {0: "clear sky", 1: "mainly clear", 2: "partly cloudy", 3: "overcast", 45: "fog", 48: "freezing fog"}
_SKY |= {51: "light drizzle", 53: "drizzle", 55: "heavy drizzle", 56: "light freezing drizzle", 57: "freezing drizzle"}
_SKY |= {61: "light rain", 63: "rain", 65: "heavy rain", 66: "light freezing rain", 67: "freezing rain"}
_SKY |= {71: "light snow", 73: "snow", 75: "heavy snow", 77: "snow grains", 80: "light showers", 81: "showers"}
_SKY |= {82: "violent showers", 85: "light snow showers", 86: "heavy snow showers", 95: "thunderstorm"}
_SKY |= {96: "thunderstorm with hail", 99: "thunderstorm with heavy hail"}


class NetworkRefused(Exception):
    """Why there is no answer, as a sentence."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """Addresses of the public services, without a slash at the end."""

    geocoding: str = "https://geocoding-api.open-meteo.com"
    forecast: str = "https://api.open-meteo.com"
    arxiv: str = "https://export.arxiv.org"
    brave: str = "https://api.search.brave.com"


@dataclass(frozen=True, slots=True)
class Web:
    """Where to ask, and how long to wait (seconds)."""

    search: Search
    hosts: Hosts
    seconds: float = SECONDS


async def weather(web: Web, city: str) -> JsonObject:
    """The weather now: degrees Celsius, words for the sky, wind in km/h. Raises NetworkRefused."""
    asked = {"name": _short(city), "count": "1", "language": "en", "format": "json"}
    found = await _object(web, f"{web.hosts.geocoding}/v1/search", asked)
    places = found.get("results")
    if not isinstance(places, Sequence) or not places or not isinstance(place := places[0], Mapping):
        raise NetworkRefused(f"No city named {city[:60]!r} was found.")
    position = {name: str(place.get(name)) for name in ("latitude", "longitude")}
    wanted = {**position, "current": "temperature_2m,weather_code,wind_speed_10m", "wind_speed_unit": "kmh"}
    forecast = await _object(web, f"{web.hosts.forecast}/v1/forecast", wanted)
    now = forecast.get("current")
    if not isinstance(now, Mapping) or not isinstance(degrees := now.get("temperature_2m"), int | float):
        raise NetworkRefused(f"{_host(web.hosts.forecast)} gave no weather for {city[:60]!r}.")
    code, wind = now.get("weather_code"), now.get("wind_speed_10m")
    return {
        "city": str(place.get("name") or city),
        "temperature": round(degrees, 1),
        "unit": "C",
        "description": _SKY.get(code, "unknown") if isinstance(code, int) else "unknown",
        "wind": round(wind) if isinstance(wind, int | float) else None,
    }


async def search_arxiv(web: Web, query: str) -> JsonObject:
    """The papers that fit best: title, url, authors and year. Raises NetworkRefused."""
    try:
        search_query = query_of(_short(query))
    except Unreadable as error:
        raise NetworkRefused(str(error)) from None
    asked = {"search_query": search_query, "start": "0", "max_results": str(MAX_RESULTS), "sortBy": "relevance"}
    body = await _get(web, f"{web.hosts.arxiv}/api/query", asked, follow=True)
    try:
        return {"results": read_feed(body)}
    except Unreadable as error:
        raise NetworkRefused(f"{_host(web.hosts.arxiv)}: {error}") from None


async def search_web(web: Web, query: str) -> JsonObject:
    """The first pages found by the service of the settings: title, url and snippet. Raises NetworkRefused."""
    provider = web.search.provider or ("searxng" if web.search.url else None)
    if provider is None:
        file = paths.config_folder() / "config.toml"
        example = 'provider = "searxng" and url = "http://127.0.0.1:8888", or provider = "brave"'
        raise NetworkRefused(f"search_web is not set up. In {file}, under [search], set {example}.")
    found = await (_searxng(web, query) if provider == "searxng" else _brave(web, query))
    if not isinstance(found, Sequence) or isinstance(found, str):
        return {"results": []}
    pages = [_page(page) for page in found if isinstance(page, Mapping) and page.get("url")]
    return {"results": list(pages[:MAX_RESULTS])}


async def _searxng(web: Web, query: str) -> Json:
    if not web.search.url:
        raise NetworkRefused("search_web has no SearXNG address. Set url under [search] in config.toml.")
    base = web.search.url.rstrip("/").removesuffix("/search")
    try:
        found = await _object(web, f"{base}/search", {"q": _short(query), "format": "json"})
    except _Status as status:
        if status.code != 403:
            raise
        raise NetworkRefused(
            f"{_host(base)} does not give JSON. Add json to search.formats in SearXNG's settings.yml."
        ) from None
    return found.get("results")


async def _brave(web: Web, query: str) -> Json:
    key = os.environ.get(web.search.key_env, "")
    if not key:
        raise NetworkRefused(f"search_web has no Brave key. Set the environment variable {web.search.key_env}.")
    base = (web.search.url or web.hosts.brave).rstrip("/")
    headers = {"X-Subscription-Token": key, "Accept": "application/json"}
    asked = {"q": _short(query), "count": str(MAX_RESULTS)}
    try:
        found = await _object(web, f"{base}/res/v1/web/search", asked, headers=headers)
    except _Status as status:
        if status.code not in (401, 403, 422):
            raise
        raise NetworkRefused(f"{_host(base)} refuses the Brave key in {web.search.key_env}.") from None
    pages = found.get("web")
    return pages.get("results") if isinstance(pages, Mapping) else None


def _page(page: JsonObject) -> JsonObject:
    snippet = _plain(page.get("content") or page.get("description"))
    entry: dict[str, Json] = {"title": _plain(page.get("title")), "url": str(page["url"])}
    if snippet:
        entry["snippet"] = snippet if len(snippet) <= MAX_SNIPPET else f"{snippet[:MAX_SNIPPET].rstrip()} ..."
    return entry


def _plain(text: Json) -> str:
    """Text without tags, entities and line breaks."""
    if not isinstance(text, str):
        return ""
    return " ".join(html.unescape(re.sub(r"<[^<>]{0,200}>", "", text[:20_000])).split())


class _Status(NetworkRefused):
    """The host answered with an error."""

    def __init__(self, host: str, code: int) -> None:
        super().__init__(f"{host} answered with an error ({code}).{' Try again later.' if code in (429, 503) else ''}")
        self.code = code


async def _object(
    web: Web, url: str, asked: Mapping[str, str], *, headers: Mapping[str, str] | None = None
) -> JsonObject:
    body = await _get(web, url, asked, headers=headers)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise NetworkRefused(f"{_host(url)} did not answer in JSON.") from None
    if not isinstance(value, Mapping):
        raise NetworkRefused(f"{_host(url)} did not answer as expected.")
    return value


async def _get(
    web: Web, url: str, asked: Mapping[str, str], *, headers: Mapping[str, str] | None = None, follow: bool = False
) -> bytes:
    """The body of one answer. A header with a key goes to no other host: redirects are followed only without one."""
    import httpx  # deferred: a tenth of the start-up, and most conversations ask no host

    host = _host(url)
    try:
        async with (
            httpx.AsyncClient(timeout=web.seconds, follow_redirects=follow, max_redirects=3) as client,
            client.stream(
                "GET", url, params=dict(asked), headers={"User-Agent": "fclocal", **(headers or {})}
            ) as answer,
        ):
            if answer.status_code != 200:
                raise _Status(host, answer.status_code)
            return await _bounded(answer, host)
    except httpx.TimeoutException:
        raise NetworkRefused(f"{host} did not answer within {web.seconds:g} s.") from None
    except httpx.ConnectError:
        raise NetworkRefused(f"Cannot reach {host}: this machine seems to be offline, or the host is down.") from None
    except NetworkRefused:
        raise
    except Exception as error:  # the address is the user's: anything may be wrong with it
        raise NetworkRefused(f"{host} could not be asked: {str(error) or type(error).__name__}.") from None


async def _bounded(answer: httpx.Response, host: str) -> bytes:
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > MAX_BODY:
            raise NetworkRefused(f"{host} answered with more than {MAX_BODY:,} bytes.")
    return bytes(body)


def _short(text: str) -> str:
    plain = " ".join(text.split())
    if not plain:
        raise NetworkRefused("There is nothing to look for: the text is empty.")
    if len(plain) > MAX_QUERY:
        raise NetworkRefused(f"The text to look for is too long: at most {MAX_QUERY} characters.")
    return plain


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or url
    except ValueError:
        return url

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import pytest

from fclocal.config import Search
from fclocal.tools import network
from fclocal.tools.network import Hosts, NetworkRefused, Web, search_arxiv, search_web, weather

from .test_arxiv import FEED

GEOCODING = {
    "results": [
        {
            "id": 2988507,
            "name": "Paris",
            "latitude": 48.85341,
            "longitude": 2.3488,
            "country": "France",
            "country_code": "FR",
            "timezone": "Europe/Paris",
        }
    ],
    "generationtime_ms": 0.6,
}
FORECAST = {
    "latitude": 48.86,
    "longitude": 2.3399997,
    "utc_offset_seconds": 0,
    "current_units": {"time": "iso8601", "temperature_2m": "°C", "weather_code": "wmo code", "wind_speed_10m": "km/h"},
    "current": {
        "time": "2026-11-23T14:00",
        "interval": 900,
        "temperature_2m": 12.34,
        "weather_code": 61,
        "wind_speed_10m": 13.6,
    },
}
SEARXNG = {
    "query": "cats",
    "results": [
        {
            "url": f"https://cats.example/{n}",
            "title": "All <b>about</b> cats",
            "content": "They   purr &amp; sleep.",
            "engine": "x",
            "score": 1.0,
        }
        for n in range(9)
    ]
    + [{"title": "no address"}],
    "suggestions": [],
}
BRAVE = {
    "type": "search",
    "web": {
        "results": [
            {"title": "Cats", "url": "https://cats.example", "description": "<strong>Cats</strong> " + "x" * 500}
        ]
    },
}


@dataclass
class StandIn:
    """A server on this machine with fixed answers; `asked` are the paths, queries and headers that came."""

    address: str = ""
    answers: dict[str, tuple[int, bytes, dict[str, str]]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, list[str]], dict[str, str]]] = field(default_factory=list)
    silent: threading.Event = field(default_factory=threading.Event)

    def give(self, path: str, body: object, *, status: int = 200, **headers: str) -> None:
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers[path] = (status, encoded, headers)


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    stand_in = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            stand_in.asked.append((parts.path, parse_qs(parts.query), dict(self.headers)))
            if parts.path == "/silent/api/query":
                stand_in.silent.wait(10)
                return
            status, body, headers = stand_in.answers.get(parts.path, (404, b"", {}))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stand_in.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    yield stand_in
    stand_in.silent.set()
    server.shutdown()
    server.server_close()


def web(
    there: StandIn | str,
    provider: Literal["searxng", "brave"] | None = None,
    *,
    url: str | None = None,
    seconds: float = 5.0,
) -> Web:
    address = there if isinstance(there, str) else there.address
    return Web(
        Search(provider=provider, url=url, key_env="TEST_KEY"), Hosts(address, address, address, address), seconds
    )


async def test_weather(there: StandIn) -> None:
    there.give("/v1/search", GEOCODING)
    there.give("/v1/forecast", FORECAST)
    assert await weather(web(there), "paris") == {
        "city": "Paris",
        "temperature": 12.3,
        "unit": "C",
        "description": "light rain",
        "wind": 14,
    }
    (_, geocoding, _), (_, forecast, _) = there.asked
    assert geocoding["name"] == ["paris"] and geocoding["count"] == ["1"]
    assert forecast["latitude"] == ["48.85341"] and forecast["longitude"] == ["2.3488"]
    assert forecast["current"] == ["temperature_2m,weather_code,wind_speed_10m"]


async def test_a_city_that_nobody_knows(there: StandIn) -> None:
    there.give("/v1/search", {"generationtime_ms": 0.4})
    with pytest.raises(NetworkRefused, match="No city named 'Atlantis'"):
        await weather(web(there), "Atlantis")


async def test_arxiv(there: StandIn) -> None:
    there.give("/api/query", FEED.encode())
    found = await search_arxiv(web(there), "cats AND NOT dogs")
    assert [paper["title"] for paper in found["results"]] == ["On the Purring of Cats & Dogs", "Short"]  # type: ignore[union-attr,index,call-overload]  # a list of papers
    assert there.asked[0][1]["search_query"] == ["all:cats ANDNOT all:dogs"]


async def test_arxiv_moves(there: StandIn) -> None:
    there.give("/api/query", b"", status=301, Location=f"{there.address}/new")
    there.give("/new", FEED.encode())
    assert len(str(await search_arxiv(web(there), "cats"))) > 100


@pytest.mark.parametrize("ending", ["", "/", "/search"])
async def test_searxng(there: StandIn, ending: str) -> None:
    there.give("/search", SEARXNG)
    found = await search_web(web(there, "searxng", url=there.address + ending), "cats")
    assert found["results"] == [
        {"title": "All about cats", "url": f"https://cats.example/{n}", "snippet": "They purr & sleep."}
        for n in range(5)
    ]
    assert there.asked[0][1] == {"q": ["cats"], "format": ["json"]}


async def test_an_address_alone_is_searxng(there: StandIn) -> None:
    there.give("/search", {"results": []})
    assert await search_web(web(there, url=there.address), "cats") == {"results": []}


async def test_searxng_without_json(there: StandIn) -> None:
    there.give("/search", b"Forbidden", status=403)
    with pytest.raises(NetworkRefused, match=r"Add json to search\.formats"):
        await search_web(web(there, "searxng", url=there.address), "cats")


async def test_brave(there: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "secret-key")
    there.give("/res/v1/web/search", BRAVE)
    found = await search_web(web(there, "brave"), "cats")
    (page,) = found["results"]  # type: ignore[misc,union-attr]  # a list of pages
    assert page["title"] == "Cats" and page["snippet"].startswith("Cats xxx") and len(page["snippet"]) < 310
    assert there.asked[0][2]["X-Subscription-Token"] == "secret-key"


async def test_braves_key_goes_nowhere_else(there: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "secret-key")
    there.give("/res/v1/web/search", b"", status=302, Location=f"{there.address}/elsewhere")
    with pytest.raises(NetworkRefused, match="302"):
        await search_web(web(there, "brave"), "cats")
    assert [path for path, _, _ in there.asked] == ["/res/v1/web/search"]


async def test_what_is_not_set_up_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_KEY", raising=False)
    with pytest.raises(NetworkRefused, match=r"not set up.*config\.toml.*searxng"):
        await search_web(web("http://127.0.0.1:9"), "cats")
    with pytest.raises(NetworkRefused, match="Set the environment variable TEST_KEY"):
        await search_web(web("http://127.0.0.1:9", "brave"), "cats")
    with pytest.raises(NetworkRefused, match="no SearXNG address"):
        await search_web(web("http://127.0.0.1:9", "searxng"), "cats")


async def test_a_refused_key_is_not_shown(there: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "secret-key")
    there.give("/res/v1/web/search", {"error": "bad secret-key"}, status=401)
    with pytest.raises(NetworkRefused, match="refuses the Brave key in TEST_KEY") as refused:
        await search_web(web(there, "brave"), "cats")
    assert "secret-key" not in str(refused.value)


async def test_offline() -> None:
    with pytest.raises(NetworkRefused, match=r"Cannot reach 127\.0\.0\.1:9: this machine seems to be offline"):
        await weather(web("http://127.0.0.1:9"), "Paris")


async def test_a_host_that_never_answers(there: StandIn) -> None:
    silent = Web(Search(), Hosts(arxiv=f"{there.address}/silent"), 0.2)
    with pytest.raises(NetworkRefused, match=r"did not answer within 0\.2 s"):
        await search_arxiv(silent, "cats")


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        (b"<html>", 200, "not answer in JSON"),
        (b"[1, 2]", 200, "not answer as expected"),
        (b"[" * 100_000, 200, "not answer in JSON"),
        (b"\xff\xfe\xfd", 200, "not answer in JSON"),
        (b"{}", 500, r"an error \(500\)"),
        (b"{}", 429, "Try again later"),
        (b'{"results": [{"latitude": 1}]}', 200, "error"),
        (b'{"results": ["x"]}', 200, "No city named"),
    ],
)
async def test_odd_answers(there: StandIn, body: bytes, status: int, part: str) -> None:
    there.give("/v1/search", body, status=status)
    with pytest.raises(NetworkRefused, match=part):
        await weather(web(there), "Paris")


@pytest.mark.parametrize("current", [None, {}, {"temperature_2m": "warm"}])
async def test_a_forecast_without_weather(there: StandIn, current: object) -> None:
    there.give("/v1/search", GEOCODING)
    there.give("/v1/forecast", {"current": current})
    with pytest.raises(NetworkRefused, match="gave no weather"):
        await weather(web(there), "Paris")


async def test_an_answer_that_is_too_large(there: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "MAX_BODY", 1000)
    there.give("/v1/search", b" " * 1001)
    with pytest.raises(NetworkRefused, match="more than 1,000 bytes"):
        await weather(web(there), "Paris")


@pytest.mark.parametrize("text", ["", "   ", "x" * 401])
async def test_nothing_and_too_much_are_not_asked(there: StandIn, text: str) -> None:
    for ask in (weather, search_arxiv):
        with pytest.raises(NetworkRefused, match="text"):
            await ask(web(there), text)
    with pytest.raises(NetworkRefused, match="text"):
        await search_web(web(there, url=there.address), text)
    assert there.asked == []


@pytest.mark.parametrize("url", ["nonsense", "http://[", "ftp://127.0.0.1", "http://127.0.0.1:99999", ""])
async def test_addresses_that_cannot_be_asked(url: str) -> None:
    with pytest.raises(NetworkRefused):
        await search_web(web("http://127.0.0.1:9", "searxng", url=url), "cats")

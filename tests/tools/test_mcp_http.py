"""MCP servers over streamable HTTP on loopback."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.tools.servers.friendly import build
from tests.tools.servers.start import QUICK, call, endpoint, http, servers_of


def app(**options: Any) -> Starlette:
    return build().streamable_http_app(**options)


def answering(respond: Any) -> Starlette:
    """A server that gives one answer to everything."""

    async def route(request: Request) -> Response:
        response: Response = await respond(request) if callable(respond) else respond
        return response

    return Starlette(routes=[Route("/mcp", route, methods=["GET", "POST", "DELETE"])])


@pytest.mark.parametrize("options", [{}, {"json_response": True}, {"stateless_http": True}])
async def test_a_server_on_http_lists_its_tools_and_runs_them(tmp_path: Path, options: dict[str, bool]) -> None:
    with http(app(**options)) as port:
        async with servers_of(tmp_path, far=endpoint(port)) as servers:
            assert "far__add" in [tool.function.name for tool in await servers.list()]
            assert (await call(servers, "far__add", a=2, b=3)).content == '{"result": 5}'
            assert not (await call(servers, "far__refuse")).ok
            assert servers.notices == ()
    assert not (tmp_path / "logs").exists()


async def test_changed_tools_are_heard_of_over_http(tmp_path: Path) -> None:
    with http(app()) as port:
        async with servers_of(tmp_path, far=endpoint(port)) as servers:
            for _ in range(200):  # changes are told on a stream that may open later than the first call
                assert (await call(servers, "far__grow")).ok
                assert "far__grown" not in [tool.function.name for tool in await servers.list()]
                if servers.notices:
                    break
            assert "far__grown" in servers.notices[0]


async def test_a_server_that_was_started_anew_is_greeted_anew(tmp_path: Path) -> None:
    with http(app()) as port:
        servers = servers_of(tmp_path, far=endpoint(port))
        assert (await call(servers, "far__add", a=1, b=1)).ok
    with http(app(), port=port):
        assert (await call(servers, "far__add", a=2, b=2)).content == '{"result": 4}'
        await servers.close()


async def test_a_server_that_went_away_is_said_to_be_unreachable(tmp_path: Path) -> None:
    with http(app()) as port:
        servers = servers_of(tmp_path, far=endpoint(port))
        assert (await call(servers, "far__add", a=1, b=1)).ok
    gone = await call(servers, "far__add", a=1, b=1)
    assert not gone.ok and "cannot be reached" in gone.content and "unknown" not in gone.content
    assert len(servers.notices) == 1 and "cannot be reached" in servers.notices[0]
    await servers.close()


async def test_headers_are_sent_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "s3cret-s3cret")
    seen: list[str | None] = []

    async def refuse(request: Request) -> Response:
        seen.append(request.headers.get("authorization"))
        return Response(f"bad token {request.headers.get('authorization')}", status_code=401)

    with http(answering(refuse)) as port:
        async with servers_of(tmp_path, far=endpoint(port, Authorization="Bearer ${MY_TOKEN}")) as servers:
            assert await servers.list() == ()
            told = "".join((*servers.notices, *servers.status("far").launch))
    assert seen[0] == "Bearer s3cret-s3cret"
    assert "s3cret" not in told and "401 Unauthorized" in told and "Authorization" in told


@pytest.mark.parametrize(
    "response",
    [
        Response(b"<html>hello</html>", media_type="text/html"),
        Response(b"{not json", media_type="application/json"),
        Response(b"[]", media_type="application/json"),
        Response(b"", status_code=202),
        Response(b"", status_code=404),
        Response(b"", status_code=500),
        Response(b"data: garbage\n\n", media_type="text/event-stream"),
        Response(
            gzip.compress(b"[" + b" " * 1_000_000), media_type="application/json", headers={"content-encoding": "gzip"}
        ),
        RedirectResponse("http://192.0.2.1/mcp"),
    ],
)
async def test_an_address_that_does_not_speak_mcp_is_one_notice(tmp_path: Path, response: Response) -> None:
    with http(answering(response)) as port, http(app()) as good:
        async with servers_of(tmp_path, bad=endpoint(port), good=endpoint(good)) as servers:
            tools = await servers.list()
            assert {tool.origin for tool in tools} == {"mcp:good"}
            assert len(servers.notices) == 1 and "'bad' is not there" in servers.notices[0]


async def test_a_body_without_end_is_cut_off(tmp_path: Path) -> None:
    sent = 0

    async def endless(request: Request) -> Response:
        async def body() -> Any:
            nonlocal sent
            while not await request.is_disconnected():
                sent += 65_536
                yield b" " * 65_536

        return StreamingResponse(body(), media_type="application/json")

    with http(answering(endless)) as port:
        async with servers_of(tmp_path, limits=replace(QUICK, line=1_000_000), far=endpoint(port)) as servers:
            assert await servers.list() == ()
            assert len(servers.notices) == 1
    assert sent < 50_000_000


async def test_a_server_that_never_answers_does_not_hold_up_the_close(tmp_path: Path) -> None:
    async def silence(request: Request) -> Response:
        while not await request.is_disconnected():
            await request.receive()
        return Response()

    with http(answering(silence)) as port:
        async with servers_of(tmp_path, limits=replace(QUICK, start=0.3), far=endpoint(port)) as servers:
            assert await servers.list() == ()
            assert "did not answer within 0.3 s" in servers.notices[0]

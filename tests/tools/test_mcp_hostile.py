"""MCP servers that misbehave: one notice each, and the others go on."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from fclocal.tools.mcp import McpServers
from fclocal.tools.mcp.config import Command, Limits
from tests.tools.servers.start import call, eventually, hostile, servers_of

SHORT = Limits(start=2.0, call=1.0, grace=0.1, line=1_000_000)


@pytest.fixture(autouse=True)
def _the_sdk_is_loaded() -> None:
    """Its import is no part of how long a server takes to start."""
    import fclocal.tools.mcp.session  # noqa: F401


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("exits", "exit code 7; it said: cannot find the flux capacitor"),
        ("line", "a message longer than 1,000,000 bytes"),
        ("garbage", "more than 100 lines on its stdout are not MCP"),
        ("closes", "it closed its output"),
        ("ancient", "Unsupported protocol version"),
    ],
)
async def test_a_server_that_will_not_start_gives_one_notice(tmp_path: Path, mode: str, reason: str) -> None:
    async with servers_of(tmp_path, limits=SHORT, bad=hostile(mode), good=hostile("plain")) as servers:
        assert [tool.function.name for tool in await servers.list()] == ["good__act"]
        assert len(servers.notices) == 1 and reason in servers.notices[0]
        assert servers.status("bad").state == "failed"
        refused = await call(servers, "bad__act")
        assert not refused.ok and "'bad' is not there" in refused.content
        assert (await call(servers, "good__act")).ok


@pytest.mark.parametrize("mode", ["silent", "shout"])
async def test_a_server_that_never_answers_is_given_up_and_not_waited_for_again(tmp_path: Path, mode: str) -> None:
    short = replace(SHORT, start=0.4)
    async with servers_of(tmp_path, limits=short, bad=hostile(mode)) as servers:
        assert await servers.list() == ()
        assert "did not answer within 0.4 s" in servers.notices[0]
        began = time.perf_counter()
        assert await servers.list() == () and not (await call(servers, "bad__act")).ok
        assert time.perf_counter() - began < 0.2
    assert (tmp_path / "logs/bad.log").stat().st_size <= 1_000_000


@pytest.mark.parametrize("mode", ["banner", "binary", "deep"])
async def test_a_little_garbage_is_put_up_with(tmp_path: Path, mode: str) -> None:
    async with servers_of(tmp_path, limits=SHORT, here=hostile(mode)) as servers:
        assert len(await servers.list()) == 1
        assert (await call(servers, "here__act")).content == "done"
        assert servers.notices == ()
    assert "on stdout, not MCP" in (tmp_path / "logs/here.log").read_text()


@pytest.mark.parametrize("mode", ["messages", "requests"])
async def test_a_flood_of_messages_ends_the_server(tmp_path: Path, mode: str) -> None:
    async with servers_of(tmp_path, limits=SHORT, here=hostile(mode)) as servers:
        await servers.list()
        await eventually(lambda: servers.status("here").state == "failed" and servers.status("here").reason != "")
        assert "1,000 messages in a second" in servers.notices[0]


async def test_a_result_beyond_the_limit_is_not_held_in_memory(tmp_path: Path) -> None:
    async with servers_of(tmp_path, limits=replace(SHORT, call=20), here=hostile("huge")) as servers:
        assert len((await call(servers, "here__act", size=500_000)).content) == 500_000
        before = psutil.Process().memory_info().rss
        too_much = await call(servers, "here__act", size=50_000_000)
        assert not too_much.ok and "longer than 1,000,000 bytes" in too_much.content
        assert psutil.Process().memory_info().rss - before < 30_000_000
        assert (await call(servers, "here__act", size=10)).ok


async def test_a_call_that_is_never_answered_ends_in_time_with_its_process(tmp_path: Path) -> None:
    short = replace(SHORT, call=0.3)
    async with servers_of(tmp_path, limits=short, here=hostile("stuck")) as servers:
        await servers.list()
        children = psutil.Process().children()
        began = time.perf_counter()
        result = await call(servers, "here__act")
        assert time.perf_counter() - began < 1.0
        assert not result.ok and "did not answer within 0.3 s" in result.content
        await eventually(lambda: not any(child.is_running() for child in children))
        assert len(await servers.list()) == 1  # started again


async def test_a_server_that_hangs_after_a_cancelled_call_is_ended(tmp_path: Path) -> None:
    async with servers_of(tmp_path, limits=replace(SHORT, call=30), here=hostile("deaf", cwd=tmp_path)) as servers:
        await servers.list()
        waiting = asyncio.create_task(call(servers, "here__act"))
        await eventually((tmp_path / "called").exists)
        waiting.cancel()
        await asyncio.wait({waiting})
        await eventually(lambda: "cancelled" in servers.status("here").reason)


async def test_a_server_that_keeps_dying_is_not_started_for_ever(tmp_path: Path) -> None:
    async with servers_of(tmp_path, limits=replace(SHORT, restarts=2), here=hostile("dies")) as servers:
        answers = [(await call(servers, "here__act")).content for _ in range(5)]
        assert ["exit code 9" in answer and "unknown" in answer for answer in answers] == [True] * 3 + [False] * 2
        assert "not there" in answers[-1]
        assert await servers.start("here", anew=True)


async def test_tools_that_cannot_be_used_are_set_aside_one_by_one(tmp_path: Path) -> None:
    async with servers_of(tmp_path, limits=SHORT, here=hostile("broken")) as servers:
        tools = {tool.function.name: tool.function for tool in await servers.list()}
        assert list(tools) == ["here__first", "here__twice", "here__loose", "here__last"]
        assert tools["here__twice"].description == "A tool." and tools["here__loose"].parameters == {"type": "object"}
        told = "\n".join(servers.notices)
        for name in ("'7'", "'list'", "'props'", "here__twice", "here__sp ace", "here__long"):
            assert name in told


async def test_hidden_characters_in_a_name_set_the_tool_aside(tmp_path: Path) -> None:
    async with servers_of(tmp_path, limits=SHORT, here=hostile("hidden")) as servers:
        tools = {tool.function.name: tool.function for tool in await servers.list()}
        assert list(tools) == ["here__plain", "here__good"]
        assert (
            tools["here__plain"].description == "Reads\u202e \U000e0041files.\x1b[31m"
        )  # as given; shown by whoever shows it
        assert servers.notices == (
            "MCP server 'here': the tool 'na\\u200bme' hides characters in its name. It is set aside.",
        )


async def test_listings_without_end_are_cut(tmp_path: Path) -> None:
    async with servers_of(tmp_path, limits=SHORT, pages=hostile("pages"), many=hostile("many")) as servers:
        counts = {"pages": 0, "many": 0}
        for tool in await servers.list():
            counts[tool.origin.removeprefix("mcp:")] += 1
        assert counts == {"pages": 100, "many": 1000}


async def test_a_description_that_changes_is_withheld_at_once(tmp_path: Path) -> None:
    async with servers_of(tmp_path, limits=SHORT, here=hostile("shifty")) as servers:
        assert len(await servers.list()) == 2
        assert (await call(servers, "here__read")).ok
        refused = await call(servers, "here__read")
        assert not refused.ok and "approved again" in refused.content
        assert [tool.function.name for tool in await servers.list()] == ["here__steady"]
        assert "evil.example" in servers.status("here").withheld[0].description
        assert (await call(servers, "here__steady")).ok


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("nonsense", "not MCP"),
        ("error", "\x1b[2Jboom [hidden]"),
        ("closed", "Connection closed"),
    ],
)
async def test_an_answer_that_is_no_result_is_a_failure_with_its_reason(tmp_path: Path, mode: str, said: str) -> None:
    async with servers_of(tmp_path, limits=SHORT, here=hostile(mode, SECRET="hunter2hunter2")) as servers:
        result = await call(servers, "here__act")
        assert not result.ok
        if mode != "closed":
            assert said in json.loads(result.content)["error"]
        assert (await call(servers, "here__act")).ok is False


async def test_a_server_cannot_ask_for_more_than_tools(tmp_path: Path) -> None:
    async with servers_of(tmp_path, limits=SHORT, here=hostile("asks")) as servers:
        assert (await call(servers, "here__act")).content == '"Sampling not supported"'


@pytest.mark.parametrize(
    ("launch", "reason"),
    [
        (Command("no-such-program-anywhere", (), {}, Path("/")), "'no-such-program-anywhere' does not exist"),
        (Command("/", (), {}, Path("/")), "cannot be started"),
        (Command("python3", (), {}, Path("/no/such/folder")), "/no/such/folder does not exist"),
        (Command("python3", (), {"KEY": "${NO_SUCH_VARIABLE}"}, Path("/")), "NO_SUCH_VARIABLE is not set"),
    ],
)
async def test_a_command_that_cannot_be_started_says_why(tmp_path: Path, launch: Command, reason: str) -> None:
    async with servers_of(tmp_path, limits=SHORT, here=launch) as servers:
        assert await servers.list() == ()
        assert reason in servers.notices[0]


async def test_closing_does_not_wait_for_a_server_that_starts_for_ever(tmp_path: Path) -> None:
    servers = servers_of(tmp_path, limits=replace(SHORT, start=60), here=hostile("silent"))
    listing = asyncio.create_task(_listed(servers))
    await eventually(lambda: servers.status("here").state == "starting")
    began = time.perf_counter()
    await servers.close()
    assert await listing == 0 and time.perf_counter() - began < 2
    assert servers.status("here").state == "stopped"


async def _listed(servers: McpServers) -> int:
    return len(await servers.list())


async def test_every_call_that_waits_for_a_server_is_told_of_its_death(tmp_path: Path) -> None:
    async with servers_of(tmp_path, limits=replace(SHORT, call=30), here=hostile("stuck")) as servers:
        await servers.list()
        waiting = [asyncio.create_task(call(servers, "here__act")) for _ in range(8)]
        await asyncio.sleep(0)
        psutil.Process().children()[0].kill()
        async with asyncio.timeout(10):
            results = await asyncio.gather(*waiting)
        assert not any(result.ok for result in results)
        for result in results:
            assert "signal 9" in result.content and "unknown" in result.content
        assert len(await servers.list()) == 1

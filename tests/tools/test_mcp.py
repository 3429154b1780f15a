"""MCP servers on the official SDK, over stdio."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from fclocal.errors import UsageError
from fclocal.messages import FunctionCall
from fclocal.tools.gather import Toolbox
from fclocal.tools.mcp import McpServers
from fclocal.tools.mcp.config import Command, McpConfig
from fclocal.tools.mcp.trust import Approvals
from tests.tools.servers.start import QUICK, call, config_of, eventually, friendly, hostile, servers_of


async def test_a_server_lists_its_tools_and_runs_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    monkeypatch.setenv("SECRET_IN", "given-by-reference")
    async with servers_of(tmp_path, here=friendly(MINE="${SECRET_IN}")) as servers:
        tools = {tool.function.name: tool for tool in await servers.list()}
        add = tools["here__add"]
        assert (add.origin, add.effect, add.function.description) == ("mcp:here", "unknown", "Add two whole numbers.")
        assert add.function.required == ("a", "b")
        assert add.function.parameters["properties"] == {
            "a": {"title": "A", "type": "integer"},
            "b": {"title": "B", "type": "integer"},
        }
        assert (await call(servers, "here__add", a=2, b=3)).content == '{"result": 5}'
        assert (await call(servers, "here__greet", name="Zoë")).content == "Hello, Zoë!"
        assert json.loads((await call(servers, "here__move", x=1, y=2)).content) == {"x": 2, "y": 2}
        failed = await call(servers, "here__refuse")
        assert not failed.ok and "refuse" in json.loads(failed.content)["error"]
        everything = await call(servers, "here__everything")
        assert everything.content.startswith(
            "one\ntwo\n[image: image/png, 1,000 bytes]\n[audio: audio/wav, 1,000 bytes]"
        )
        assert (await call(servers, "here__folder")).content == str(Path(__file__).parent / "servers")
        environment = json.loads((await call(servers, "here__environment")).content)
        assert environment["MINE"] == "given-by-reference"
        allowed = {"HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "MINE", "LC_CTYPE"}
        assert environment.keys() <= allowed
        assert servers.notices == () and servers.status("here").state == "ready"
    assert servers.status("here").state == "stopped"


async def test_a_new_tool_is_withheld_until_it_is_approved(tmp_path: Path) -> None:
    async with servers_of(tmp_path, here=friendly()) as servers:
        before = {tool.function.name for tool in await servers.list()}
        first = servers.fingerprint("here")
        assert (await call(servers, "here__grow")).ok
        assert {tool.function.name for tool in await servers.list()} == before
        assert not servers.is_approved("here") and servers.fingerprint("here") != first
        assert [function.name for function in servers.status("here").withheld] == ["here__grown"]
        assert "here__grown" in servers.notices[0]
        assert not (await call(servers, "here__grown")).ok
        assert not servers.approve("here", seen=first) and not servers.is_approved("here")
        assert servers.approve("here", seen=servers.fingerprint("here"))
        assert {tool.function.name for tool in await servers.list()} == {*before, "here__grown"}
        assert (await call(servers, "here__grown")).ok and servers.notices == ()


async def test_a_server_that_dies_is_started_again_and_the_lost_call_is_not_repeated(tmp_path: Path) -> None:
    async with servers_of(tmp_path, here=friendly()) as servers:
        lost = await call(servers, "here__leave", code=3)
        assert not lost.ok and "exit code 3" in lost.content and "leaving now" in lost.content
        assert "unknown" in lost.content
        assert servers.status("here").state == "failed"
        assert (await call(servers, "here__add", a=1, b=1)).ok
        assert servers.status("here").state == "ready" and servers.notices == ()


async def test_only_the_newer_protocol(tmp_path: Path) -> None:
    async with servers_of(tmp_path, here=friendly("modern")) as servers:
        assert (await call(servers, "here__add", a=2, b=3)).content == '{"result": 5}'
        assert (await call(servers, "here__grow")).ok
        for _ in range(200):
            await servers.list()
            if servers.status("here").withheld:
                break
            await asyncio.sleep(0.01)
        assert [function.name for function in servers.status("here").withheld] == ["here__grown"]


async def test_a_cancelled_call_leaves_a_server_that_answers_alone(tmp_path: Path) -> None:
    async with servers_of(tmp_path, here=friendly(), limits=replace(QUICK, grace=2.0)) as servers:
        await servers.list()
        waiting = asyncio.create_task(call(servers, "here__sleep", seconds=60))
        assert (await call(servers, "here__add", a=1, b=2)).ok
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await call(servers, "here__add", a=1, b=2)).ok
        assert servers.status("here").state == "ready"


async def test_nothing_is_started_without_approval(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    touch = Command(sys.executable, ("-c", f"open({str(mark)!r}, 'w').close()"), {"KEY": "s3cret"}, tmp_path)
    async with servers_of(tmp_path, approve=False, here=touch) as servers:
        assert await servers.list() == ()
        assert not (await call(servers, "here__anything")).ok
        assert not await servers.start("here", anew=True)
        status = servers.status("here")
        assert (status.state, status.approved, status.known) == ("stopped", False, False)
        assert "not approved" in servers.notices[0] and "tools check --mcp here" in servers.notices[0]
        shown = " ".join(status.launch)
        assert str(mark) in shown and "KEY" in shown and "s3cret" not in shown
    assert not mark.exists()


async def test_an_approval_outlives_the_process_and_not_a_change(tmp_path: Path) -> None:
    file = tmp_path / "mcp-approved.json"
    launch = hostile("plain")
    async with servers_of(tmp_path, approvals=Approvals(file), here=launch) as servers:
        assert len(await servers.list()) == 1
    async with servers_of(tmp_path, approvals=Approvals(file), approve=False, here=launch) as servers:
        assert servers.is_approved("here") and len(await servers.list()) == 1
    for changed in (replace(launch, args=(*launch.args, "x")), replace(launch, env={"LD_PRELOAD": "x.so"})):
        async with servers_of(tmp_path, approvals=Approvals(file), approve=False, here=changed) as servers:
            assert not servers.is_approved("here") and await servers.list() == ()
    shifted = hostile("shifty")
    async with servers_of(tmp_path, approvals=Approvals(file), here=shifted) as servers:
        await servers.list()
    async with servers_of(tmp_path, approvals=Approvals(file), approve=False, here=shifted) as servers:
        assert {tool.function.name for tool in await servers.list()} == {"here__read", "here__steady"}


async def test_an_approval_for_one_run_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "mcp-approved.json"
    async with servers_of(tmp_path, approvals=Approvals(file), approve=False, here=hostile("plain")) as servers:
        servers.approve("here", remember=False)
        assert len(await servers.list()) == 1
    assert not file.exists()


async def test_servers_whose_names_look_alike_never_share_a_tool(tmp_path: Path) -> None:
    names = {"a b": hostile("plain"), "a_b": hostile("plain"), "a__b": hostile("plain"), "é": hostile("plain")}
    async with servers_of(tmp_path, **names) as servers:  # type: ignore[arg-type]  # odd names, given as keywords
        tools = await servers.list()
        made = [tool.function.name for tool in tools]
        assert made == ["a_b__act", "a_b_2__act", "a_b_3__act", "server__act"]
        assert [tool.origin for tool in tools] == ["mcp:a b", "mcp:a_b", "mcp:a__b", "mcp:é"]
        assert all([(await call(servers, name)).ok for name in made])


async def test_a_toolbox_takes_its_tools_and_notices(tmp_path: Path) -> None:
    async with servers_of(tmp_path, good=hostile("plain"), odd=hostile("hidden"), gone=hostile("exits")) as servers:
        toolbox = Toolbox([servers])
        assert [tool.function.name for tool in await toolbox.list()] == ["good__act", "odd__plain", "odd__good"]
        notices = "\n".join(toolbox.notices)
        assert "odd__plain" in notices and "hidden characters" in notices
        assert notices.count("'gone'") == 1 and "exit code 7" in notices
        assert (await toolbox.call(FunctionCall("1", "good__act", {}))).content == "done"


async def test_a_name_that_is_not_configured_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No MCP server 'b'"):
        McpServers(config_of(a=hostile("plain")), ["b"], log_folder=tmp_path)
    problems = McpServers(McpConfig({}, {"b": "MCP server 'b' needs a command."}), ["b"], log_folder=tmp_path)
    assert problems.notices == ("MCP server 'b' needs a command.",) and await problems.list() == ()


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX ones")
async def test_stderr_goes_to_a_private_log_without_secrets(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with servers_of(tmp_path, here=hostile("exits", SECRET="hunter2hunter2")) as servers:
        await servers.list()
        log = servers.status("here").log
        assert log == tmp_path / "logs/here.log"
        assert stat.S_IMODE(log.stat().st_mode) == 0o600
        assert log.read_text() == "cannot find the flux capacitor, key [hidden]\n"
        assert "hunter2" not in "".join(servers.notices)
    assert "".join(capfd.readouterr()) == ""


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX ones")
async def test_closing_ends_the_whole_process_group(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with servers_of(tmp_path, here=hostile("stubborn", str(pids))) as servers:
        assert (await call(servers, "here__act")).ok
        leader, child = map(int, pids.read_text().split())
        assert psutil.pid_exists(leader) and psutil.pid_exists(child)
    assert not psutil.pid_exists(leader)  # reaped, not a zombie
    await eventually(lambda: not _runs(child))


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_sdk_is_not_loaded_before_a_server_is_started() -> None:
    code = "import sys, fclocal.tools.mcp, fclocal.runtime; sys.exit('mcp' in sys.modules or 'httpx2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

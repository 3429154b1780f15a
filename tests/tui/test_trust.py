"""MCP servers in the app: asked about before they start, watched while they run."""

from __future__ import annotations

from pathlib import Path

import pytest

from fclocal.tools.mcp.config import Command
from fclocal.tui.screens.trust import TrustScreen
from tests.tools.servers.start import call, friendly, servers_of
from tests.tui.conftest import MakeApp, screen_text, shows, until

SIZE = (100, 34)


@pytest.mark.usefixtures("no_guard")
async def test_a_new_server_is_asked_about_in_the_app(make_app: MakeApp, tmp_path: Path) -> None:
    async with servers_of(tmp_path, approve=False, here=friendly()) as servers:
        app = make_app("Hello.", tools=servers)
        async with app.run_test(size=SIZE) as pilot:
            await shows(pilot, "is new.")
            assert "friendly.py" in screen_text(app)
            assert servers.status("here").state == "stopped"
            await pilot.press("y")
            await shows(pilot, "ready |")
            await pilot.press("f3")
            await shows(pilot, "MCP here: ready with")
            await shows(pilot, "here__add")


@pytest.mark.usefixtures("no_guard")
async def test_a_server_that_was_refused_is_not_started_until_asked_again(make_app: MakeApp, tmp_path: Path) -> None:
    async with servers_of(tmp_path, approve=False, here=friendly()) as servers:
        app = make_app("Hello.", tools=servers)
        async with app.run_test(size=SIZE) as pilot:
            await shows(pilot, "is new.")
            await pilot.press("enter")
            await shows(pilot, "ready |")
            assert servers.status("here").state == "stopped"
            await pilot.press("f3")
            await shows(pilot, "MCP here: not approved")
            await pilot.press("a")
            await shows(pilot, "is new.")
            await pilot.press("y")
            await shows(pilot, "MCP here: ready with")
            await shows(pilot, "here__add")


@pytest.mark.usefixtures("no_guard")
async def test_tools_that_changed_while_it_runs_are_asked_about(make_app: MakeApp, tmp_path: Path) -> None:
    async with servers_of(tmp_path, here=friendly()) as servers:
        app = make_app("Hello.", tools=servers)
        async with app.run_test(size=SIZE) as pilot:
            await shows(pilot, "ready |")
            assert (await call(servers, "here__grow")).ok
            await servers.list()
            await until(pilot, lambda: isinstance(app.screen, TrustScreen))
            await shows(pilot, "new or changed")
            await pilot.press("n")
            await until(pilot, lambda: not isinstance(app.screen, TrustScreen))
            assert "here__grown" not in servers.status("here").tools
            await pilot.pause(0.8)
            assert not isinstance(app.screen, TrustScreen)


async def test_a_server_that_fails_says_why(make_app: MakeApp, tmp_path: Path) -> None:
    async with servers_of(tmp_path, here=Command("no-such-program", (), {}, tmp_path)) as servers:
        app = make_app("Hello.", tools=servers)
        async with app.run_test(size=SIZE) as pilot:
            await shows(pilot, "ready |")
            await pilot.press("f3")
            await shows(pilot, "MCP here: failed: ")

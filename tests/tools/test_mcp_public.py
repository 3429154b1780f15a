"""A public MCP server, when it is installed: `pip install mcp-server-time`."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from fclocal.grammar.schema import report
from fclocal.tools.mcp.config import Command
from tests.tools.servers.start import call, servers_of

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mcp_server_time") is None, reason="mcp-server-time is not installed"
)


async def test_the_public_time_server_tells_the_time(tmp_path: Path) -> None:
    launch = Command(sys.executable, ("-m", "mcp_server_time", "--local-timezone=UTC"), {}, tmp_path)
    async with servers_of(tmp_path, time=launch) as servers:
        tools = {tool.function.name: tool.function for tool in await servers.list()}
        assert set(tools) == {"time__get_current_time", "time__convert_time"}
        assert all(report(function).status == "ok" for function in tools.values())
        answer = await call(
            servers, "time__convert_time", source_timezone="UTC", time="12:00", target_timezone="Asia/Tokyo"
        )
        assert answer.ok and json.loads(answer.content)["target"]["datetime"].endswith("T21:00:00+09:00")
        wrong = await call(servers, "time__get_current_time", timezone="Nowhere/Else")
        assert not wrong.ok and "Nowhere/Else" in wrong.content

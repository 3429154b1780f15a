"""In which order a person is asked about MCP servers and their tools. Knows no terminal and no screen."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from fclocal.functions import Function
from fclocal.tools.mcp.servers import McpServers

# What it is about, the facts one a line, the question itself -> yes or no.
AskYes: TypeAlias = Callable[[str, tuple[str, ...], str], Awaitable[bool]]


async def ask_about_servers(servers: McpServers, ask: AskYes) -> None:
    """Ask about servers that are new, start the approved ones, and ask about tools that are new or have changed."""
    for name in servers.names:
        status = servers.status(name)
        if not status.known and await ask(
            f"MCP server {name!r} is new.", status.launch, "Start it, and offer what it lists?"
        ):
            servers.approve(name)
    await servers.list()
    for name in servers.names:
        await ask_about_tools(servers, name, ask)


async def ask_about_tools(servers: McpServers, name: str, ask: AskYes) -> None:
    """Ask about the tools of one server that are withheld, if there are any."""
    withheld, seen = servers.status(name).withheld, servers.fingerprint(name)
    if not withheld:
        return
    headline = f"MCP server {name!r} has tools that are new or changed since you approved it."
    if await ask(headline, tuple(line for tool in withheld for line in _lines(tool)), "Offer them?"):
        servers.approve(name, seen=seen)


def _lines(function: Function) -> tuple[str, str]:
    schema = json.dumps(function.parameters, ensure_ascii=False, default=dict)
    return f"{function.name}: {function.description}", f"    {schema}"

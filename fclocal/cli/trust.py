"""Questions about MCP servers: may this be started, may these tools be offered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fclocal.chat.receipt import plain
from fclocal.cli.ask import read_line
from fclocal.cli.rim import say
from fclocal.cli.story import is_terminal
from fclocal.functions import Function

if TYPE_CHECKING:
    from fclocal.tools.mcp.servers import McpServers, Trust


def trust_of_terminal() -> Trust | None:
    """Who is asked about MCP servers: the person at the terminal, or nobody, which means no."""
    return ask_about_servers if is_terminal() else None


async def ask_about_servers(servers: McpServers) -> None:
    """Ask about servers that are new, start the approved ones, and ask about tools that are new or have changed."""
    for name in servers.names:
        status = servers.status(name)
        if status.known:
            continue
        _show(f"MCP server {name!r} is new.", status.launch)
        if _yes("Start it, and offer what it lists?"):
            servers.approve(name)
    await servers.list()
    for name in servers.names:
        withheld, seen = servers.status(name).withheld, servers.fingerprint(name)
        if not withheld:
            continue
        _show(f"MCP server {name!r} has tools that are new or changed since you approved it.", ())
        for function in withheld:
            _show_function(function)
        if _yes("Offer them?"):
            servers.approve(name, seen=seen)


async def trust_for_this_run(servers: McpServers) -> None:
    """Whoever runs a function by hand and names its server has approved both, this once."""
    for name in servers.names:
        status = servers.status(name)
        if not status.known:
            _show(f"MCP server {name!r}, for this run only:", status.launch)
            servers.approve(name, remember=False)
    await servers.list()
    for name in servers.names:
        if servers.status(name).withheld:
            servers.approve(name, remember=False)


def _show(first: str, lines: tuple[str, ...]) -> None:
    say(first)
    for line in lines:
        say(f"    {line}")


def _show_function(function: Function) -> None:
    say(f"    {function.name}: {function.description}")
    say(f"        {json.dumps(plain(function.parameters), ensure_ascii=False)}")


def _yes(question: str) -> bool:
    return (read_line(f"    {question} [y]es, [N]o: ") or "").strip().lower() in ("y", "yes")

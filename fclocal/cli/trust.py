"""Questions about MCP servers: may this be started, may these tools be offered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fclocal.cli.ask import read_line
from fclocal.cli.rim import say
from fclocal.cli.story import is_terminal

if TYPE_CHECKING:
    from fclocal.tools.mcp.servers import McpServers, Trust


def trust_of_terminal() -> Trust | None:
    """Who is asked about MCP servers: the person at the terminal, or nobody, which means no."""
    return ask_about_servers if is_terminal() else None


async def ask_about_servers(servers: McpServers) -> None:
    """Ask at the terminal about everything that is new or has changed."""
    from fclocal.tools.mcp.asking import ask_about_servers  # deferred: most conversations have no MCP server

    await ask_about_servers(servers, _ask)


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


async def _ask(headline: str, facts: tuple[str, ...], question: str) -> bool:
    _show(headline, facts)
    return (read_line(f"    {question} [y]es, [N]o: ") or "").strip().lower() in ("y", "yes")

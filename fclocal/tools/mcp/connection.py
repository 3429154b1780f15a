"""What a connection to an MCP server is to those who use it. Knows no SDK and no process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from fclocal.functions import JsonObject
from fclocal.tools.mcp.config import Limits, ServerConfig
from fclocal.tools.mcp.process import ServerLog


class CallFailed(Exception):
    """The server answered, and not with what was asked for. The text is untrusted."""


class ConnectionLost(Exception):
    """The server was gone before it answered: nobody knows whether it did what was asked."""


class SessionGone(Exception):
    """The server has forgotten this session and ran nothing."""


@dataclass(slots=True)
class Ending:
    """Why a connection ended: the first reason stays. `hint` is what was seen before that.

    `left` is whether it was us who went. `nothing_ran` is whether what was asked last cannot have reached the server.
    """

    reason: str = ""
    hint: str = ""
    left: bool = False
    nothing_ran: bool = False

    def because(self, reason: str) -> None:
        """Say why, unless something came first."""
        self.reason = self.reason or reason


@dataclass(frozen=True, slots=True)
class ServerTool:
    """A tool as its server describes it."""

    name: str
    description: str
    schema: JsonObject


@dataclass(frozen=True, slots=True)
class Listing:
    """The tools of a server, and half sentences about what cannot be used."""

    tools: tuple[ServerTool, ...]
    problems: tuple[str, ...]


class Connection(Protocol):
    """A server that is ready."""

    async def list_tools(self) -> Listing: ...

    async def call_tool(self, name: str, arguments: JsonObject) -> tuple[str, bool]: ...


class Connect(Protocol):
    """How to get a connection; entered and left in one task."""

    def __call__(
        self,
        config: ServerConfig,
        *,
        limits: Limits,
        log: ServerLog,
        ending: Ending,
        on_changed: Callable[[], None],
        on_closed: Callable[[], None],
    ) -> AbstractAsyncContextManager[Connection]: ...

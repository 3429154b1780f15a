"""The MCP servers that were asked for, as one toolset: `server__tool` names, nothing started or offered unapproved.

An approval is for exact things: what is started or asked, and every tool with its description and schema. What a
server lists first belongs to the approval of its launch; anything new or changed later is withheld until asked again.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from fclocal import paths
from fclocal.errors import DiskError, UsageError
from fclocal.escapes import has_hidden, visible
from fclocal.functions import Function, JsonObject, from_openai
from fclocal.messages import FunctionCall, FunctionResult
from fclocal.tools.mcp.config import Limits, McpConfig, choose
from fclocal.tools.mcp.connection import CallFailed, Connect, ConnectionLost, Listing, ServerTool, SessionGone
from fclocal.tools.mcp.names import SEPARATOR, file_name, owners
from fclocal.tools.mcp.server import Server, State
from fclocal.tools.mcp.trust import (
    Approval,
    Approvals,
    fingerprint,
    launch_fingerprint,
    launch_lines,
    tool_fingerprint,
    user_approvals,
)
from fclocal.tools.runner import failed
from fclocal.tools.toolset import Tool

Trust: TypeAlias = Callable[["McpServers"], Awaitable[None]]

MAX_SENTENCES = 8


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One server as it stands, safe to show.

    `launch` is what is started or asked, one line a fact; `reason` says why it failed or cannot be used; `tools` are
    offered, `withheld` wait for an approval; `known` is whether its launch was approved at all.
    """

    name: str
    state: State
    reason: str
    approved: bool
    known: bool
    launch: tuple[str, ...]
    tools: tuple[str, ...]
    withheld: tuple[Function, ...]
    log: Path


class McpServers:
    """A toolset over MCP servers. Close it, or use it as a context manager: servers run until then.

    `names` choose from `config`; `approvals` without a file forget. Raises UsageError for a name that is not there.
    """

    def __init__(
        self,
        config: McpConfig,
        names: Sequence[str],
        *,
        approvals: Approvals | None = None,
        log_folder: Path | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._approvals = approvals or Approvals()
        self._problems = {name: config.problems[name] for name in names if name in config.problems}
        self._servers: dict[str, Server] = {}
        self._listed: dict[str, tuple[Function, ...]] = {}
        self._digests: dict[str, dict[str, str]] = {}
        self._taken: dict[str, Listing] = {}
        self._set_aside: dict[str, tuple[str, ...]] = {}
        folder = log_folder or paths.cache_folder() / "mcp"
        for name in names:
            if name in self._problems:
                continue
            if name not in config.servers:
                raise UsageError(f"No MCP server {name!r}.", f"There are: {', '.join(config.servers) or 'none'}.")
            self._servers[name] = Server(
                config.servers[name],
                log_file=folder / f"{file_name(name)}.log",
                limits=limits or Limits(),
                load=_load_sdk,
            )
        self._owners = owners(self._servers)
        self._prefixes = {name: f"{plain}{SEPARATOR}" for plain, name in self._owners.items()}

    async def __aenter__(self) -> McpServers:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The servers that can be used, in the order they were asked for."""
        return tuple(self._servers)

    @property
    def statuses(self) -> tuple[ServerStatus, ...]:
        """Every server as it stands."""
        return tuple(self.status(name) for name in self._servers)

    @property
    def notices(self) -> tuple[str, ...]:
        """One sentence for each server or tool that is not offered now, and why."""
        approvals = (self._approvals.problem,) if self._approvals.problem else ()
        aside = (sentence for name in self._servers for sentence in self._set_aside.get(name, ()))
        servers = (sentence for name in self._servers for sentence in self._sentences(name))
        return (*approvals, *self._problems.values(), *servers, *aside)

    def status(self, name: str) -> ServerStatus:
        """One server as it stands."""
        server = self._servers[name]
        offered, withheld = self._offered(name)
        approval = self._approvals.get(launch_fingerprint(server.config))
        return ServerStatus(
            name,
            server.state,
            server.reason,
            self.is_approved(name),
            approval is not None,
            launch_lines(server.config),
            tuple(offered),
            withheld,
            server.log.file,
        )

    def fingerprint(self, name: str) -> str:
        """SHA-256 of what would be approved now: the launch, and every tool that is known."""
        return fingerprint(self._servers[name].config, self._digests.get(name, {}))

    def is_approved(self, name: str) -> bool:
        """Whether the user said yes to this launch and to every tool that the server lists now."""
        approval = self._approvals.get(launch_fingerprint(self._servers[name].config))
        return approval is not None and not self._offered(name)[1]

    def approve(self, name: str, *, seen: str | None = None, remember: bool = True) -> bool:
        """Say yes to this launch and to what the server lists now, or to what it lists first if it was never started.

        `seen` is the fingerprint of what the user was shown: nothing is approved, and False returned, if it is another
        one by now. Without `remember` only for this process. Raises DiskError when the yes cannot be kept.
        """
        if seen is not None and seen != self.fingerprint(name):
            return False
        launch = launch_fingerprint(self._servers[name].config)
        self._approvals.put(launch, Approval(self._digests.get(name)), remember=remember)
        return True

    async def start(self, name: str, *, anew: bool = False) -> bool:
        """Start an approved server and read its tools; `anew` tries again what has failed. True when it is ready."""
        server = self._servers[name]
        if self._approvals.get(launch_fingerprint(server.config)) is None:
            return False
        if not await server.ready(anew=anew):
            return False
        try:
            listing = await server.tools()
        except CallFailed as error:
            self._set_aside[name] = self._shortened(name, (f"MCP server {name!r}: {error}.",))
            return False
        except ConnectionLost:
            return False
        if self._taken.get(name) is not listing:
            self._take(name, listing)
        return True

    async def list(self) -> Sequence[Tool]:
        """The approved tools of every server that is or becomes ready. Servers start at the same time."""
        await asyncio.gather(*(self.start(name) for name in self._servers))
        return tuple(
            Tool(function, f"mcp:{name}", "unknown")
            for name, server in self._servers.items()
            if server.state == "ready"
            for function in self._offered(name)[0].values()
        )

    async def call(self, call: FunctionCall) -> FunctionResult:
        """Run a tool. A server that died is started again first; a call whose outcome is unknown is never repeated."""
        name = self._owners.get(call.name.partition(SEPARATOR)[0])
        if name is None or not self.status(name).known:
            return failed(call, f"No approved MCP server has a tool {call.name}.")
        for _ in range(2):
            if not await self.start(name):
                return failed(call, f"The MCP server {name!r} is not there: {self._why(name)}.")
            if call.name not in self._offered(name)[0]:
                return failed(call, f"{call.name} is not there, or it changed and must be approved again.")
            try:
                text, ok = await self._servers[name].call(self._bare(name, call.name), call.arguments)
            except SessionGone:
                continue
            except TimeoutError:
                return failed(call, f"{self._why(name)}. The MCP server {name!r} was stopped.")
            except ConnectionLost:
                return failed(
                    call,
                    f"The MCP server {name!r} was gone before it answered ({self._why(name)}); the outcome is unknown.",
                )
            except CallFailed as error:
                return failed(call, self._servers[name].hide(str(error)))
            return FunctionResult(call.id, text, name=call.name) if ok else failed(call, text)
        return failed(call, f"The MCP server {name!r} forgets its session again and again.")

    async def close(self) -> None:
        """End every server and wait for it."""
        await asyncio.gather(*(server.stop() for server in self._servers.values()))

    def _take(self, name: str, listing: Listing) -> None:
        """Keep what a server lists now; what it lists first is part of the approval of its launch."""
        functions: dict[str, Function] = {}
        aside = [f"MCP server {name!r}: {problem}." for problem in listing.problems]
        for tool in listing.tools:
            try:
                function = self._function(name, tool)
            except UsageError as error:
                aside.append(f"{error.sentence} It is set aside.")
                continue
            if function.name in functions:
                aside.append(f"MCP server {name!r}: a second tool named {function.name} is set aside.")
                continue
            functions[function.name] = function
        self._taken[name] = listing
        self._listed[name] = tuple(functions.values())
        bare = {self._bare(name, full): function for full, function in functions.items()}
        self._digests[name] = {tool: tool_fingerprint(tool, function) for tool, function in bare.items()}
        self._set_aside[name] = self._shortened(name, aside)
        launch = launch_fingerprint(self._servers[name].config)
        approval = self._approvals.get(launch)
        if approval is None or approval.tools is not None:
            return
        first = Approval(self._digests[name])
        try:
            self._approvals.put(launch, first, remember=self._approvals.remembers(launch))
        except DiskError:
            self._approvals.put(launch, first, remember=False)

    def _function(self, name: str, tool: ServerTool) -> Function:
        if has_hidden(tool.name):
            raise UsageError(f"MCP server {name!r}: the tool '{visible(tool.name)}' hides characters in its name.")
        full = f"{self._prefixes[name]}{tool.name}"
        entry: JsonObject = {"name": full, "description": tool.description, "parameters": tool.schema}
        made = from_openai(entry, origin=f"MCP server {name!r}")
        return Function(made.name, made.description, made.parameters)

    def _bare(self, name: str, full: str) -> str:
        return full.removeprefix(self._prefixes[name])

    def _offered(self, name: str) -> tuple[Mapping[str, Function], tuple[Function, ...]]:
        """The approved tools by name, and those that are withheld."""
        approval = self._approvals.get(launch_fingerprint(self._servers[name].config))
        if approval is None:
            return {}, self._listed.get(name, ())
        offered: dict[str, Function] = {}
        withheld = []
        digests = self._digests.get(name, {})
        for function in self._listed.get(name, ()):
            tool = self._bare(name, function.name)
            if approval.tools is None or approval.tools.get(tool) == digests[tool]:
                offered[function.name] = function
            else:
                withheld.append(function)
        return offered, tuple(withheld)

    def _sentences(self, name: str) -> Sequence[str]:
        status = self.status(name)
        cure = f"See it and decide: fclocal tools check --mcp {shlex.quote(self._servers[name].config.word)}"
        if not status.known:
            return (f"MCP server {name!r} is not approved and was not started. {cure}",)
        if status.state == "failed":
            log = f" Its log: {status.log}" if status.log.exists() else ""
            return (f"MCP server {name!r} is not there: {status.reason}.{log}",)
        if status.withheld:
            more = len(status.withheld) - MAX_SENTENCES
            names = ", ".join(function.name for function in status.withheld[:MAX_SENTENCES])
            names += f" and {more} more" if more > 0 else ""
            return (f"MCP server {name!r} has new or changed tools, which are withheld: {names}. {cure}",)
        return ()

    def _why(self, name: str) -> str:
        server = self._servers[name]
        return server.reason or next(iter(self._set_aside.get(name, ())), f"it is {server.state}").rstrip(".")

    def _shortened(self, name: str, sentences: Sequence[str]) -> tuple[str, ...]:
        """What is set aside, safe to show; a server that lists much nonsense is given few lines."""
        more = len(sentences) - MAX_SENTENCES
        last = (f"MCP server {name!r}: {more} more tools are set aside.",) if more > 0 else ()
        return (*(visible(self._servers[name].hide(text)) for text in sentences[:MAX_SENTENCES]), *last)


@asynccontextmanager
async def open_servers(words: Sequence[str], *, trust: Trust | None = None) -> AsyncIterator[McpServers]:
    """The servers that `--mcp` words ask for, with the user's own files and approvals; they end on leaving.

    `trust` may ask the user about them and approve. Raises UsageError.
    """
    config, names = choose(words, user_file=paths.config_folder() / "mcp.json")
    async with McpServers(config, names, approvals=user_approvals()) as servers:
        if trust is not None:
            await trust(servers)
        yield servers


def _load_sdk() -> Connect:
    from fclocal.tools.mcp.session import connect  # deferred: importing the SDK takes as long as everything else

    return connect

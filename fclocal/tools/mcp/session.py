"""One connection to one MCP server, through the official SDK. The only file that imports it: that takes a second.

Everything a server sends is bounded here: bytes a message, messages a second, text that is no message.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

import mcp_types as types
from mcp.client.session import ClientSession, IncomingMessage
from mcp.client.stdio import get_default_environment
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import SubscriptionLost, listen
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import MCPError
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp.shared.transport_context import TransportContext
from mcp_types.methods import validate_server_result
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import TypeAdapter, ValidationError

from fclocal import __version__
from fclocal.functions import Json, JsonObject
from fclocal.tools.mcp.config import Command, Endpoint, Limits, ServerConfig, expand
from fclocal.tools.mcp.connection import CallFailed, ConnectionLost, Ending, Listing, ServerTool, SessionGone
from fclocal.tools.mcp.content import result_text
from fclocal.tools.mcp.http import BoundedClient
from fclocal.tools.mcp.process import ServerLog
from fclocal.tools.mcp.streams import Guard, Streams, stdio_streams

MAX_PAGES = 100
MAX_MESSAGE = 300
CLOSED = "Connection closed"
CHECKED_AS = "2025-11-25"

_RESULT: TypeAdapter[types.CallToolResult | types.InputRequiredResult] = TypeAdapter(
    types.CallToolResult | types.InputRequiredResult
)


class SdkConnection:
    """A server that has shaken hands. Any task may call; only the one that opened it may leave it."""

    def __init__(
        self,
        session: ClientSession,
        dispatcher: _Dispatcher,
        *,
        limits: Limits,
        ending: Ending,
        on_changed: Callable[[], None],
    ) -> None:
        self._session = session
        self._dispatcher = dispatcher
        self._limits = limits
        self._ending = ending
        self._on_changed = on_changed
        self._listener: asyncio.Task[None] | None = None

    async def list_tools(self) -> Listing:
        """Every tool of every page. Raises CallFailed, ConnectionLost."""
        self._dispatcher.problems.clear()
        self._listen()
        tools: list[ServerTool] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            params = types.PaginatedRequestParams(cursor=cursor) if cursor else None
            try:
                page = await self._session.list_tools(params=params)
            except MCPError as error:
                if error.code == types.METHOD_NOT_FOUND:
                    break
                raise _failure(error) from None
            except (ValidationError, RuntimeError) as error:
                raise CallFailed(f"its list of tools is not MCP: {_first_line(error)}") from None
            tools += (ServerTool(tool.name, tool.description or "", tool.input_schema) for tool in page.tools)
            cursor = page.next_cursor
            if not cursor or len(tools) > self._limits.tools:
                break
        problems = list(self._dispatcher.problems)
        if len(tools) > self._limits.tools:
            problems.append(f"it lists more than {self._limits.tools} tools: the rest is left out")
        return Listing(tuple(tools[: self._limits.tools]), tuple(problems))

    async def call_tool(self, name: str, arguments: JsonObject) -> tuple[str, bool]:
        """The text of the result and whether it is none of an error.

        Raises CallFailed, SessionGone when nothing was run, ConnectionLost when nobody knows.
        """
        plain = json.loads(json.dumps(arguments, default=dict))
        request = types.CallToolRequest(params=types.CallToolRequestParams(name=name, arguments=plain))
        try:
            # Not `call_tool`, which runs the server's own output schema with `re` on the server's patterns.
            result = await self._session.send_request(request, _RESULT)
        except MCPError as error:
            raise SessionGone if self._ending.nothing_ran else _failure(error) from None
        except (ValidationError, RuntimeError) as error:
            raise CallFailed(f"The answer is not MCP: {_first_line(error)}") from None
        if isinstance(result, types.InputRequiredResult):
            raise CallFailed("The tool asks for input in mid-call, which is not possible here.")
        dumped = result.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return result_text(dumped), not result.is_error

    async def close(self) -> None:
        """Stop listening for changes."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait({self._listener})

    def _listen(self) -> None:
        """From protocol 2026-07-28 on, changes are told only to those who listen."""
        if self._session.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._hear_changes())

    async def _hear_changes(self) -> None:
        with suppress(MCPError, SubscriptionLost, TimeoutError):
            async with listen(self._session, tools_list_changed=True) as changes:
                async for _ in changes:
                    self._on_changed()


@dataclass(frozen=True, slots=True)
class _Watch:
    """Hears of changed tools; everything else that a server says unasked is ignored."""

    on_changed: Callable[[], None]

    async def __call__(self, message: IncomingMessage) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self.on_changed()


class _Dispatcher(JSONRPCDispatcher[TransportContext]):
    """Takes tools that are no tools out of a listing, so that one does not cost the others."""

    problems: list[str]

    async def send_raw_request(
        self,
        method: str,
        params: Mapping[str, Json] | None,
        opts: CallOptions | None = None,
        *,
        _related_request_id: types.RequestId | None = None,
    ) -> dict[str, Json]:
        raw = await super().send_raw_request(method, params, opts, _related_request_id=_related_request_id)
        if method == "tools/list" and isinstance(raw.get("tools"), list):
            raw["tools"] = [tool for tool in raw["tools"] if self._is_tool(tool)]
        return raw

    def _is_tool(self, tool: Json) -> bool:
        if isinstance(tool, dict) and isinstance(tool.get("inputSchema"), dict):
            tool["inputSchema"].setdefault("type", "object")
        try:
            validate_server_result("tools/list", CHECKED_AS, {"tools": [tool]})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"][2:])
            name = tool.get("name") if isinstance(tool, dict) else None
            self.problems.append(f"the tool {str(name)[:80]!r} is set aside: {where or 'it'}: {first['msg']}")
            return False
        return True


@asynccontextmanager
async def connect(
    config: ServerConfig,
    *,
    limits: Limits,
    log: ServerLog,
    ending: Ending,
    on_changed: Callable[[], None],
    on_closed: Callable[[], None],
) -> AsyncIterator[SdkConnection]:
    """Start or reach a server and shake hands. `on_closed` is called when it has nothing more to say.

    Enter and leave in one task. Raises ConnectionLost, CallFailed, UsageError, and an exception group of these when the
    address cannot be reached; `ending` then knows more.
    """
    _quiet()
    async with AsyncExitStack() as stack:
        opening = partial(
            _open, stack, config, limits=limits, log=log, ending=ending, on_changed=on_changed, on_closed=on_closed
        )
        try:
            connection = await opening(ClientSession.initialize)
        except CallFailed as refused:
            # Servers of protocol 2026-07-28 and later may know no handshake. They must be asked on a new connection.
            await stack.aclose()
            ending.left = False
            try:
                connection = await opening(ClientSession.discover)
            except (CallFailed, ConnectionLost):
                raise refused from None
        yield connection


async def _open(
    stack: AsyncExitStack,
    config: ServerConfig,
    greet: Callable[[ClientSession], Awaitable[object]],
    *,
    limits: Limits,
    log: ServerLog,
    ending: Ending,
    on_changed: Callable[[], None],
    on_closed: Callable[[], None],
) -> SdkConnection:
    """A connection that `stack` closes, greeted in one of the two ways. Raises CallFailed, ConnectionLost."""
    reading, writing = await stack.enter_async_context(_streams(config, limits=limits, log=log, ending=ending))
    guard = Guard(reading, limits=limits, ending=ending, on_closed=on_closed)
    dispatcher = _Dispatcher(guard, writing)
    dispatcher.problems = []
    session = ClientSession(
        dispatcher=dispatcher,
        message_handler=_Watch(on_changed),
        client_info=types.Implementation(name="fclocal", version=__version__),
        read_timeout_seconds=limits.start + limits.call,
    )
    await stack.enter_async_context(session)
    try:
        await greet(session)
    except MCPError as error:
        raise _failure(error) from None
    except (RuntimeError, ValidationError) as error:
        raise CallFailed(f"it does not speak MCP: {_first_line(error)}") from None
    connection = SdkConnection(session, dispatcher, limits=limits, ending=ending, on_changed=on_changed)
    stack.push_async_callback(connection.close)
    return connection


def _streams(
    config: ServerConfig, *, limits: Limits, log: ServerLog, ending: Ending
) -> AbstractAsyncContextManager[Streams]:
    match config.launch:
        case Command() as launch:
            environ = get_default_environment() | expand(launch.env, os.environ)
            return stdio_streams(launch, environ, limits=limits, log=log, ending=ending)
        case Endpoint() as launch:
            return _http_streams(launch, expand(launch.headers, os.environ), limits=limits, ending=ending)


@asynccontextmanager
async def _http_streams(
    launch: Endpoint, headers: Mapping[str, str], *, limits: Limits, ending: Ending
) -> AsyncIterator[Streams]:
    async with (
        BoundedClient(headers, limits=limits, ending=ending) as client,
        streamable_http_client(launch.url, http_client=client, max_sse_event_size=limits.line) as streams,
    ):
        yield streams


def _failure(error: MCPError) -> CallFailed | ConnectionLost:
    # Servers use the same code for errors of their own.
    if error.code == types.CONNECTION_CLOSED and error.message == CLOSED:
        return ConnectionLost()
    return CallFailed(error.message[:MAX_MESSAGE])


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'][:4])}: {first['msg']}"[:MAX_MESSAGE]
    return str(error).partition("\n")[0][:MAX_MESSAGE]


def _quiet() -> None:
    """The SDK logs what servers send; without a handler Python would print that on the terminal."""
    for name in ("mcp", "client"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())

"""Messages of an MCP server as streams the SDK reads, held to limits. Knows JSON-RPC frames, not what they ask."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCResponse, jsonrpc_message_adapter

from fclocal.tools.mcp.config import Command, Limits
from fclocal.tools.mcp.connection import Ending
from fclocal.tools.mcp.process import LineTooLong, ServerLog, ServerProcess, start_process

if TYPE_CHECKING:
    from mcp.shared._stream_protocols import ReadStream, WriteStream  # the SDK has no public name for these

Item: TypeAlias = SessionMessage | Exception
Streams: TypeAlias = "tuple[ReadStream[Item], WriteStream[SessionMessage]]"

EXIT_SECONDS = 0.5


class Guard:
    """A read stream that ends when its server says too much unasked, and that tells when it has ended."""

    def __init__(
        self, stream: ReadStream[Item], *, limits: Limits, ending: Ending, on_closed: Callable[[], None]
    ) -> None:
        self._stream = stream
        self._limits = limits
        self._ending = ending
        self._on_closed = on_closed
        self._second = 0
        self._count = 0

    @property
    def last_context(self) -> contextvars.Context | None:
        """The context of the sender, which the SDK asks for."""
        found: contextvars.Context | None = getattr(self._stream, "last_context", None)
        return found

    async def receive(self) -> Item:
        item = await self._stream.receive()
        if self._is_flood(item):
            raise anyio.EndOfStream
        return item

    async def aclose(self) -> None:
        self._on_closed()
        await self._stream.aclose()

    def __aiter__(self) -> Guard:
        return self

    async def __anext__(self) -> Item:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Guard:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _is_flood(self, item: Item) -> bool:
        if isinstance(item, SessionMessage) and isinstance(item.message, JSONRPCResponse | JSONRPCError):
            return False
        second = int(asyncio.get_running_loop().time())
        self._count = self._count + 1 if second == self._second else 1
        self._second = second
        if self._count <= self._limits.messages_a_second:
            return False
        self._ending.because(f"it sent more than {self._limits.messages_a_second:,} messages in a second")
        return True


@asynccontextmanager
async def stdio_streams(
    launch: Command, environ: Mapping[str, str], *, limits: Limits, log: ServerLog, ending: Ending
) -> AsyncIterator[Streams]:
    """Start a server; its process group is ended on leaving. Raises OSError when it cannot be started."""
    process = await start_process(launch, environ, max_line=limits.line)
    arriving, inbound = anyio.create_memory_object_stream[Item](0)
    outbound, leaving = anyio.create_memory_object_stream[SessionMessage](0)
    async with anyio.create_task_group() as tasks, arriving, inbound, outbound, leaving:
        tasks.start_soon(_read, process, arriving, leaving, limits, log, ending)
        tasks.start_soon(_write, process, leaving, arriving, ending)
        tasks.start_soon(process.copy_errors, log)
        try:
            yield inbound, outbound
        finally:
            ending.left = True
            with anyio.CancelScope(shield=True):
                inbound.close()
                outbound.close()
                await process.end(limits.grace)
            tasks.cancel_scope.cancel()


async def _read(
    process: ServerProcess,
    arriving: MemoryObjectSendStream[Item],
    leaving: MemoryObjectReceiveStream[SessionMessage],
    limits: Limits,
    log: ServerLog,
    ending: Ending,
) -> None:
    """Lines of stdout to messages, until it ends, floods, or says too much that is no message."""
    garbage = 0
    async with arriving:
        try:
            while (line := await process.read_line()) is not None:
                if not line.strip():
                    continue
                try:
                    await arriving.send(SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False)))
                except ValueError:
                    garbage += 1
                    log.write(b"on stdout, not MCP: " + line[:1000])
                    ending.hint = "it wrote text that is not MCP on its stdout"
                    if garbage > limits.garbage_lines:
                        ending.because(f"more than {limits.garbage_lines} lines on its stdout are not MCP")
                        ending.hint = ""
                        break
            else:
                how = await process.how_it_ended(EXIT_SECONDS)
                if not ending.left:
                    ending.because(how)
        except LineTooLong:
            ending.because(f"it sent a message longer than {limits.line:,} bytes")
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # nobody reads any more
    leaving.close()  # what the SDK still wants to say would only wait
    await process.discard()


async def _write(
    process: ServerProcess,
    leaving: MemoryObjectReceiveStream[SessionMessage],
    arriving: MemoryObjectSendStream[Item],
    ending: Ending,
) -> None:
    """Messages to lines of stdin, until nobody sends or reads any more."""
    async with leaving:
        async for item in leaving:
            line = item.message.model_dump_json(by_alias=True, exclude_unset=True)
            try:
                await process.write(line.encode("utf-8", "replace") + b"\n")
            except OSError:
                how = await process.how_it_ended(EXIT_SECONDS)
                if not ending.left:
                    ending.because("it closed its input" if process.exit_code is None else how)
                await arriving.aclose()
                return

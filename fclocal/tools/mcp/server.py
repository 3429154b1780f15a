"""One MCP server over its life: started when it is first needed, started again after a death, ended at the close.

A task of its own owns the connection, because the SDK's task groups must be entered and left in one task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

from fclocal.errors import FclocalError
from fclocal.escapes import visible
from fclocal.functions import JsonObject
from fclocal.tools.mcp.config import Command, Limits, ServerConfig
from fclocal.tools.mcp.connection import (
    CallFailed,
    Connect,
    Connection,
    ConnectionLost,
    Ending,
    Listing,
    SessionGone,
)
from fclocal.tools.mcp.process import ServerLog, redact, secrets_of

State: TypeAlias = Literal["stopped", "starting", "ready", "failed"]

MAX_REASON = 400
MAX_SAID = 200
CLOSE_GRACES = 6
HUNG_GRACES = 3
LAST_WORDS_SECONDS = 1.0


class Server:
    """A server and what it last listed. `reason` is half a sentence, safe to show, when `state` is "failed"."""

    def __init__(self, config: ServerConfig, *, log_file: Path, limits: Limits, load: Callable[[], Connect]) -> None:
        self.config = config
        self.state: State = "stopped"
        self.reason = ""
        self.listing: Listing | None = None
        self.log = ServerLog(log_file, _secrets(config))
        self._limits = limits
        self._load = load
        self._connection: Connection | None = None
        self._owner: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self._leave = asyncio.Event()
        self._changed = False
        self._deaths = 0
        self._was_ready = False
        self._stopping = False
        self._refreshing = asyncio.Lock()
        self._probe: asyncio.Task[None] | None = None

    async def ready(self, *, anew: bool = False) -> bool:
        """Start it unless it runs, and wait until it is ready or has failed. True when it is ready.

        A server that would not start is not tried again, one that keeps dying not for ever, unless `anew` asks for it.
        """
        if anew:
            await self.stop()
            self._deaths, self.reason, self.state = 0, "", "stopped"
        if self.state in ("stopped", "failed"):
            if not self._may_start():
                return False
            await self._owner_ended()
            if self.state in ("stopped", "failed"):  # nobody else was faster
                self._start()
        if self.state == "starting":
            await self._settled.wait()
        return self.state == "ready"

    async def tools(self) -> Listing:
        """What it lists now; asks again only after it said that its tools changed. It must be ready.

        Raises CallFailed, ConnectionLost.
        """
        async with self._refreshing:
            if self._changed:
                self._changed = False
                connection = self._connection
                if connection is None:
                    raise ConnectionLost
                try:
                    async with asyncio.timeout(self._limits.start):
                        self.listing = await connection.list_tools()
                except TimeoutError:
                    self._changed = True
                    self._fail(f"it did not list its tools within {self._limits.start:g} s")
                    raise ConnectionLost from None
                except BaseException:
                    self._changed = True
                    raise
        if self.listing is None:
            raise ConnectionLost
        return self.listing

    async def call(self, tool: str, arguments: JsonObject) -> tuple[str, bool]:
        """The text of the result and whether it is none of an error. It must be ready.

        Raises CallFailed, SessionGone, ConnectionLost, TimeoutError. After a time-out the server is ended, so that the
        call does not go on behind the user's back.
        """
        connection = self._connection
        if connection is None:
            raise SessionGone
        try:
            async with asyncio.timeout(self._limits.call):
                outcome = await connection.call_tool(tool, arguments)
        except TimeoutError:
            self._fail(f"{tool} did not answer within {self._limits.call:g} s")
            raise
        except asyncio.CancelledError:
            self._probe = asyncio.create_task(self._end_if_hung(connection))
            raise
        except SessionGone:
            self._fail("it has forgotten this session")
            raise
        except ConnectionLost:
            with suppress(TimeoutError):  # how it ended is known a moment later than that it did
                async with asyncio.timeout(LAST_WORDS_SECONDS):
                    await self._leave.wait()
            if self._connection is connection:
                self._fail("it closed the connection")
            await self._owner_ended()
            raise
        self._deaths = 0
        return outcome

    async def stop(self) -> None:
        """End it and everything it started; returns when that is done."""
        if self._owner is None:
            return
        self._stopping = True
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait({self._probe})
        if self.state == "starting":
            self._owner.cancel()
        self._leave.set()
        _, late = await asyncio.wait({self._owner}, timeout=CLOSE_GRACES * self._limits.grace)
        for task in late:
            task.cancel()
        await self._owner_ended()

    async def _end_if_hung(self, connection: Connection) -> None:
        """After a cancelled call: a server that does not answer anything else either is still busy with it."""
        try:
            async with asyncio.timeout(HUNG_GRACES * self._limits.grace):
                await connection.list_tools()
        except TimeoutError:
            if self._connection is connection:
                self._fail("it did not answer after a call was cancelled")
        except (CallFailed, ConnectionLost):
            return

    def hide(self, text: str) -> str:
        """`text` without the secrets of this server's configuration."""
        return redact(text, secrets_of(_secrets(self.config)))

    def _may_start(self) -> bool:
        return self.state == "stopped" or (self._was_ready and self._deaths <= self._limits.restarts)

    def _start(self) -> None:
        self.state, self.reason, self.listing = "starting", "", None
        self._settled, self._leave = asyncio.Event(), asyncio.Event()
        self._changed = self._was_ready = self._stopping = False
        self._owner = asyncio.create_task(self._own(), name=f"mcp {self.config.name}")

    async def _owner_ended(self) -> None:
        if self._owner is not None:
            await asyncio.wait({self._owner})

    async def _own(self) -> None:
        """Hold the connection until it ends or `_leave` is set."""
        ending = Ending()
        if isinstance(self.config.launch, Command):
            self.log.open()
        try:
            connect = self._load()
            async with asyncio.timeout(self._limits.start) as patience:
                async with connect(
                    self.config,
                    limits=self._limits,
                    log=self.log,
                    ending=ending,
                    on_changed=self._note_change,
                    on_closed=self._note_end,
                ) as connection:
                    self.listing = await connection.list_tools()
                    patience.reschedule(None)
                    self._connection, self._was_ready = connection, True
                    if not self._leave.is_set():
                        self.state = "ready"
                        self._settled.set()
                    await self._leave.wait()
                    self._connection = None
        except TimeoutError:
            ending.because(f"it did not answer within {self._limits.start:g} s")
        except Exception as error:  # a server may fail in any way, and only for itself
            for cause in _leaves(error):
                if not isinstance(cause, ConnectionLost):
                    ending.because(_sentence(cause, self.config))
        finally:
            self._settle(ending)

    def _settle(self, ending: Ending) -> None:
        """Say how it ended, unless it was asked to."""
        self._connection = None
        if self._stopping and self.state != "failed":
            self.state, self.reason = "stopped", ""
        else:
            self._deaths += 1
            hint = "" if self._was_ready else ending.hint
            parts = (
                self.reason or ending.reason or "it ended",
                hint,
                self.log.last and f"it said: {self.log.last[:MAX_SAID]}",
            )
            self.reason = visible(self.hide("; ".join(part for part in parts if part))).replace("\n", " ")[:MAX_REASON]
            self.state = "failed"
        self.log.close()
        self._settled.set()

    def _fail(self, reason: str) -> None:
        """Leave a server that does not behave."""
        self.state, self.reason, self._connection = "failed", reason, None
        self._leave.set()

    def _note_change(self) -> None:
        self._changed = True

    def _note_end(self) -> None:
        if not self._leave.is_set() and self._connection is not None:
            self._fail("")


def _secrets(config: ServerConfig) -> tuple[str, ...]:
    launch = config.launch
    return tuple(launch.env.values() if isinstance(launch, Command) else launch.headers.values())


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors inside nested groups."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _sentence(error: BaseException, config: ServerConfig) -> str:
    launch = config.launch
    match error:
        case FclocalError():
            return str(error)
        case CallFailed():
            return str(error)
        case FileNotFoundError() if isinstance(launch, Command):
            what = f"the folder {launch.cwd}" if not launch.cwd.is_dir() else f"the command {launch.command!r}"
            return f"{what} does not exist"
        case OSError() if isinstance(launch, Command):
            return f"{launch.command!r} cannot be started: {error.strerror or error}"
        case _:
            return f"{type(error).__name__}: {error}"

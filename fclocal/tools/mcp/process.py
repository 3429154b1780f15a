"""An MCP server as a child process: bounded lines in and out, its stderr in a log, its whole process group ended.

Knows lines of bytes and processes, not what the lines say.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from fclocal import paths
from fclocal.tools.mcp.config import Command
from fclocal.tools.process_group import end_group, group_options

MAX_LOG = 1_000_000
POLL_SECONDS = 0.01
CHUNK = 65_536
HIDDEN = "[hidden]"
SHORTEST_SECRET = 6


class LineTooLong(Exception):
    """The server sent more bytes without a line end than are held in memory."""


class ServerLog:
    """Where a server's stderr goes: a file of mode 0600, at most MAX_LOG bytes a session, secrets replaced.

    A log that cannot be written is dropped; `last` still holds the last line with text.
    """

    def __init__(self, file: Path, secrets: Iterable[str]) -> None:
        self.file = file
        self.last = ""
        self._secrets = secrets_of(secrets)
        self._left = MAX_LOG
        self._opened: int | None = None

    def open(self) -> None:
        """Begin anew when the file has grown too big, else go on behind what is there."""
        self.last, self._left = "", MAX_LOG
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        with suppress(OSError):
            paths.private_folder(self.file.parent)
            self._opened = os.open(self.file, flags, 0o600)
            if os.name == "posix":
                os.fchmod(self._opened, 0o600)
            if os.fstat(self._opened).st_size >= MAX_LOG:
                os.ftruncate(self._opened, 0)

    def write(self, line: bytes) -> None:
        """Add one line, with or without its end."""
        text = redact(line.decode("utf-8", "replace").rstrip("\r\n"), self._secrets)
        if text.strip():
            self.last = text.strip()
        data = f"{text}\n".encode("utf-8", "replace")
        self._left -= len(data)
        if self._opened is not None and self._left >= 0:
            with suppress(OSError):
                os.write(self._opened, data)

    def close(self) -> None:
        """Close the file."""
        if self._opened is not None:
            os.close(self._opened)
            self._opened = None


class ServerProcess:
    """A running server. `read_line` and `write` are for one task each."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        assert process.stdin and process.stdout and process.stderr  # all three are pipes
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._process.returncode

    async def read_line(self) -> bytes | None:
        """One line with its end, or None when there are no more. Raises LineTooLong."""
        try:
            return await self._stdout.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError:
            raise LineTooLong from None
        except ConnectionError:
            return None

    async def discard(self) -> None:
        """Read and forget what it still says, so that it is not stuck writing."""
        with suppress(ConnectionError):
            while await self._stdout.read(CHUNK):
                pass

    async def write(self, line: bytes) -> None:
        """Send one line. Raises OSError when the server does not read any more."""
        self._stdin.write(line)
        await self._stdin.drain()

    async def copy_errors(self, log: ServerLog) -> None:
        """Copy stderr into the log, line by line, until it ends."""
        held = b""
        with suppress(ConnectionError):
            while chunk := await self._stderr.read(CHUNK):
                *lines, held = (held + chunk).split(b"\n")
                for line in lines:
                    log.write(line)
                if len(held) >= CHUNK:
                    log.write(held)
                    held = b""
        if held:
            log.write(held)

    async def how_it_ended(self, patience: float) -> str:
        """Half a sentence, once its output has ended; waits at most `patience` seconds for the exit code."""
        await _within(patience, lambda: self.exit_code is not None)
        match self.exit_code:
            case None:
                return "it closed its output"
            case int() as code if code < 0:
                return f"it was ended by signal {-code}"
            case code:
                return f"it ended with exit code {code}"

    async def end(self, grace: float) -> None:
        """Close its stdin and wait, then SIGTERM to its group and wait, then SIGKILL; `grace` seconds each.

        What it left in its group is ended too. Reaps the process.
        """
        self._stdin.close()
        try:
            await _within(grace, lambda: self.exit_code is not None)
            if _ask_to_end(self._process.pid):
                await _within(grace, lambda: self.exit_code is not None and not _group_lives(self._process.pid))
        finally:
            await end_group(self._process)
            transport = getattr(self._process, "_transport", None)  # nothing public closes pipes that a stranger holds
            if transport is not None:
                transport.close()


async def start_process(launch: Command, environ: Mapping[str, str], *, max_line: int) -> ServerProcess:
    """Start a server in its own process group. Raises OSError."""
    program = shutil.which(launch.command, path=environ.get("PATH")) or launch.command
    process = await asyncio.create_subprocess_exec(
        program,
        *launch.args,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environ),
        cwd=launch.cwd,
        limit=max_line,
        **group_options(),
    )
    return ServerProcess(process)


def secrets_of(values: Iterable[str]) -> tuple[str, ...]:
    """The values that are long enough to be looked for, the longest first."""
    return tuple(sorted({value for value in values if len(value) >= SHORTEST_SECRET}, key=len, reverse=True))


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret replaced."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


async def _within(seconds: float, happened: Callable[[], bool]) -> None:
    """Wait until something happened, at most so long. Polls: `Process.wait` also waits for pipes others hold."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not happened() and loop.time() < end:  # noqa: ASYNC110  # the exit of a process sets no event
        await asyncio.sleep(POLL_SECONDS)


def _ask_to_end(pid: int) -> bool:
    """SIGTERM to a process group. False when nothing of it is left, or where that would be no question."""
    if sys.platform == "win32":
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGTERM)
        return True
    return False


def _group_lives(pid: int) -> bool:
    if sys.platform == "win32":
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, 0)
        return True
    return False

"""The process in which the functions of a Python file run: start it, call in it, end it with all it has started.

Knows the lines that fclocal.tools.python_worker reads and writes.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from fclocal.errors import UsageError
from fclocal.escapes import visible
from fclocal.functions import Function, Json, JsonObject
from fclocal.tools.process_group import end_group, group_options, kill_group

Output: TypeAlias = Callable[[str], None]

START_SECONDS = 30.0
CANCEL_SECONDS = 1.0
MAX_LINE = 2**23
MAX_SHOWN = 2000

_PROGRAM = (
    "import sys, json; sys.path[:] = json.loads(sys.argv.pop(1)); from fclocal.tools.python_worker import main; main()"
)


class WorkerEnded(Exception):
    """The process ended before it answered, as a sentence."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a file offers, and what is wrong with it."""

    functions: tuple[Function, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to: JSON text, or with `ok=False` a sentence."""

    content: str
    ok: bool


def to_stderr(line: str) -> None:
    """Where prints of functions go when nothing else is said."""
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr)


class Worker:
    """One process for one file; not started until `start`."""

    def __init__(self, path: Path, *, output: Output, environment: Mapping[str, str]) -> None:
        self._path = path
        self._environment = environment
        self._output = output
        self._process: Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._described: asyncio.Future[Described] | None = None
        self._coroutines: frozenset[str] = frozenset()
        self._calls = 0

    @property
    def is_running(self) -> bool:
        """Whether calls can be made."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> Described:
        """Start the process and import the file. Raises UsageError when that fails or takes over START_SECONDS."""
        described = self._described = asyncio.get_running_loop().create_future()
        command = (sys.executable, "-P", "-c", _PROGRAM, json.dumps(sys.path), str(self._path.absolute()))
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            limit=MAX_LINE,
            env=dict(self._environment),
            **group_options(),
        )
        self._tasks = [asyncio.create_task(self._read(self._process)), asyncio.create_task(self._show(self._process))]
        try:
            return await asyncio.wait_for(asyncio.shield(described), START_SECONDS)
        except TimeoutError:
            await self.close()
            raise UsageError(f"{self._path} took longer than {START_SECONDS:g} s to import.") from None
        except BaseException:
            await self.close()
            raise

    async def call(self, name: str, arguments: Mapping[str, Json]) -> Answer:
        """Call a function. Cancelling ends it: a coroutine is cancelled, anything else ends the process.

        Raises WorkerEnded.
        """
        process = self._process
        if process is None or process.stdin is None or process.returncode is not None:
            raise WorkerEnded(f"The process of {self._path.name} is not running.")
        self._calls += 1
        number = self._calls
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            _send(process, {"id": number, "name": name, "arguments": dict(arguments)})
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            await self._abandon(process, number, answer, may_yield=name in self._coroutines)
            raise
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        """End the process, and what it started, at once."""
        process = self._process
        if process is None:
            return
        await end_group(process)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._fail(f"The process of {self._path.name} was ended.")

    def abandon(self) -> None:
        """End the process without waiting: the loop it was started on is gone."""
        if self._process is not None:
            kill_group(self._process.pid)

    async def _abandon(self, process: Process, number: int, answer: asyncio.Future[Answer], *, may_yield: bool) -> None:
        try:
            if may_yield:
                _send(process, {"cancel": number})
                await asyncio.wait({answer}, timeout=CANCEL_SECONDS)
        finally:
            if answer.done():
                answer.cancelled() or answer.exception()
            else:
                answer.cancel()
                await self.close()

    async def _read(self, process: Process) -> None:
        """Hand every answer to whoever waits for it, until the process ends."""
        assert process.stdout is not None
        why = ""
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                why = " It answered with a line that is too long."
                break
            if not line:
                break
            self._take(json.loads(line))
        # What the process has started ends with it; later, its number may be another's.
        kill_group(process.pid, alive=process.returncode is None)
        self._fail(f"The process of {self._path.name} ended{_how(await process.wait())}.{why}")

    def _take(self, message: JsonObject) -> None:
        if "functions" in message:
            self._introduced(message)
            return
        answer = self._waiting.get(int(str(message["id"])))
        if answer is not None and not answer.done():
            answer.set_result(Answer(str(message["content"]), bool(message["ok"])))

    def _introduced(self, message: JsonObject) -> None:
        assert self._described is not None
        if self._described.done():
            return
        if isinstance(failure := message.get("failure"), str):
            self._described.set_exception(UsageError(failure))
            return
        functions, notices = message["functions"], message["notices"]
        assert isinstance(functions, list) and isinstance(notices, list)
        self._coroutines = frozenset(str(entry["name"]) for entry in functions if entry["is_async"])
        made = tuple(Function(entry["name"], entry["description"], entry["parameters"]) for entry in functions)
        self._described.set_result(Described(made, tuple(map(str, notices))))

    def _fail(self, sentence: str) -> None:
        """Tell everyone who still waits that no answer will come."""
        if self._described is not None and not self._described.done():
            self._described.set_exception(UsageError(f"{self._path} could not be imported. {sentence}"))
            self._described.exception()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(WorkerEnded(sentence))
                answer.exception()

    async def _show(self, process: Process) -> None:
        """Pass on what the file prints: whole lines, cut and safe to show."""
        assert process.stderr is not None
        rest = b""
        while chunk := await process.stderr.read(2**16):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._print(line)
            if len(rest) > MAX_SHOWN:
                self._print(rest)
                rest = b""
        if rest:
            self._print(rest)

    def _print(self, line: bytes) -> None:
        text = line[:MAX_SHOWN].decode("utf-8", "replace").rstrip("\r")
        self._output(visible(text))


def _send(process: Process, message: JsonObject) -> None:
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.write(json.dumps(message).encode() + b"\n")


def _how(code: int) -> str:
    if code == 0:
        return ""
    if code < 0 and os.name == "posix":
        return f" by signal {-code}"
    return f" with exit code {code}"

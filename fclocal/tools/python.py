"""Python functions as toolsets: those of a file, run in a process of their own, and those of the running program.

Knows signatures and how a call is ended; nothing of models.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from fclocal.errors import FclocalError, UsageError
from fclocal.functions import Function, refuse_duplicates
from fclocal.messages import FunctionCall, FunctionResult
from fclocal.tools.child_environment import child_environment, withheld_in
from fclocal.tools.runner import failed, run
from fclocal.tools.signature import BadArguments, PythonFunction, function, function_of, python_function
from fclocal.tools.toolset import Tool
from fclocal.tools.worker import Output, Worker, WorkerEnded, to_stderr

__all__ = ["PythonFile", "PythonFunctions", "function", "function_of"]


class PythonFile:
    """The public functions of a file, which is imported and run in a process of its own.

    That process ends with every call that has to be ended, and when the file changes; the next use starts it again.
    What the functions print goes to `output`, line by line and safe to show. `notices` tell what could not be used.
    `variables` are environment variables that the functions may see beside the harmless ones.
    """

    def __init__(self, path: Path, *, output: Output = to_stderr, variables: Sequence[str] = ()) -> None:
        self._path = path
        self._environment = child_environment(variables)
        self._output = output
        self._worker: Worker | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = asyncio.Lock()
        self._stamp: tuple[int, int] | None = None
        self._notices: tuple[str, ...] = ()
        self._functions: tuple[Function, ...] = ()
        self._failed = False

    @property
    def notices(self) -> Sequence[str]:
        """Why the file, or functions in it, are set aside; complete after `list`."""
        return self._notices

    async def list(self) -> Sequence[Tool]:
        await self._started()
        return tuple(Tool(function, str(self._path), "unknown") for function in self._functions)

    async def call(self, call: FunctionCall) -> FunctionResult:
        worker = await self._started()
        if worker is None:
            return failed(call, self._notices[0] if self._notices else f"{self._path} has no functions.")
        try:
            answer = await worker.call(call.name, call.arguments)
        except WorkerEnded as ended:
            return failed(call, str(ended))
        if not answer.ok:
            return failed(call, self._explained(answer.content))
        return FunctionResult(call.id, answer.content, name=call.name)

    async def close(self) -> None:
        """End the process and everything it started."""
        if self._worker is not None:
            worker, self._worker = self._worker, None
            await worker.close()

    async def _started(self) -> Worker | None:
        """The running process, started again when it ended or the file changed; None when the file cannot be used."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._worker is not None:
                self._worker.abandon()
            self._worker, self._stamp, self._loop, self._starting = None, None, loop, asyncio.Lock()
        async with self._starting:
            stamp = _stamp(self._path)
            usable = self._failed or (self._worker is not None and self._worker.is_running)
            if stamp != self._stamp or stamp is None or not usable:
                await self.close()
                await self._start(stamp)
        return self._worker

    async def _start(self, stamp: tuple[int, int] | None) -> None:
        worker = Worker(self._path, output=self._output, environment=self._environment)
        self._failed, self._functions = True, ()
        try:
            described = await worker.start()
        except FclocalError as error:
            self._notices = (f"{self._explained(error.sentence)} Its functions are set aside.",)
        else:
            self._worker, self._failed = worker, False
            self._functions, self._notices = described.functions, described.notices
        self._stamp = stamp

    def _explained(self, sentence: str) -> str:
        """A failure, with the reason when it is a variable that the functions do not see."""
        why = withheld_in(sentence, self._environment)
        return f"{sentence} ({why})" if why else sentence


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


class PythonFunctions:
    """Functions of the running program. Raises UsageError for one that cannot be described, or two of one name.

    Coroutines are cancelled at their time limit. A plain function runs in a thread of its own, which Python cannot
    end: past its limit it is left behind and its result is dropped.
    """

    def __init__(self, functions: Sequence[Callable[..., object]], *, origin: str = "python") -> None:
        self._origin = origin
        described = [python_function(made) for made in functions]
        refuse_duplicates((made.function for made in described), origin=origin)
        self._functions = {made.function.name: made for made in described}

    async def list(self) -> Sequence[Tool]:
        return tuple(Tool(made.function, self._origin, "unknown") for made in self._functions.values())

    async def call(self, call: FunctionCall) -> FunctionResult:
        made = self._functions.get(call.name)
        if made is None:
            return failed(call, f"There is no function {call.name}.")
        return await run(call, lambda: _done(made, call))


async def _done(made: PythonFunction, call: FunctionCall) -> object:
    try:
        bound = made.bound(call.arguments)
    except BadArguments as error:
        raise UsageError(str(error)) from None
    value = bound() if made.is_async else await _in_thread(bound)
    return await value if inspect.isawaitable(value) else value


async def _in_thread(work: Callable[[], object]) -> object:
    """What `work` returns or raises, from a daemon thread: one that hangs does not keep the program from ending."""
    loop = asyncio.get_running_loop()
    finished: asyncio.Future[tuple[object, BaseException | None]] = loop.create_future()
    context = contextvars.copy_context()

    def deliver(value: object, error: BaseException | None) -> None:
        if not finished.done():
            finished.set_result((value, error))

    def body() -> None:
        value: object = None
        error: BaseException | None = None
        try:
            value = context.run(work)
        except BaseException as raised:
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(deliver, value, error)

    threading.Thread(target=body, name="function", daemon=True).start()
    value, error = await finished
    if isinstance(error, Exception):
        raise error
    if error is not None:
        raise RuntimeError(f"{type(error).__name__}: {error}")
    return value

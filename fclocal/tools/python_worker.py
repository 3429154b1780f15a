"""Inside the process of a Python file: import it, describe its functions, run calls. Speaks JSON lines.

The first line out is {"functions", "notices"} or {"functions": [], "failure"}; then {"id", "ok", "content"} for every
{"id", "name", "arguments"} that comes in. {"cancel": id} cancels a coroutine. The end of the input ends the process.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, TypeAlias

import fclocal
from fclocal.errors import UsageError
from fclocal.functions import Json
from fclocal.tools.readable import json_text
from fclocal.tools.runner import sentence_of, shortened
from fclocal.tools.signature import BadArguments, PythonFunction, function, is_marked, python_function

Message: TypeAlias = dict[str, Json]

MODULE = "_fclocal_functions"


def main() -> None:
    """Serve the file named by the first argument until the input ends."""
    received, sent = _own_streams()
    replies = _Replies(sent)
    path = Path(sys.argv[1])
    # `from fclocal import function` must not load the engine into this process.
    fclocal.function = function  # type: ignore[attr-defined,unused-ignore]
    try:
        found, notices = offered(_imported(path), path)
    except _Failed as failure:
        replies.send({"functions": [], "notices": [], "failure": str(failure)})
        return
    replies.send({"functions": [_entry(made) for made in found.values()], "notices": list(notices)})
    _Service(found, replies).serve(received)


def _own_streams() -> tuple[BinaryIO, BinaryIO]:
    """The pipes to the parent, moved away from 0 and 1: what the file prints goes to stderr, and it reads nothing."""
    received, sent = os.dup(0), os.dup(1)
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123  # a descriptor is wanted
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        getattr(stream, "reconfigure")(line_buffering=True, errors="replace", encoding="utf-8")  # noqa: B009  # TextIO lacks it
    return os.fdopen(received, "rb"), os.fdopen(sent, "wb")


class _Failed(Exception):
    """The file cannot be imported, as a sentence."""


def _imported(path: Path) -> ModuleType:
    """Run the file as a module of its own name space. Raises _Failed with file, line and error."""
    sys.path.insert(0, str(path.parent))
    sys.argv[:] = [str(path)]
    loader = importlib.util.spec_from_loader(MODULE, importlib.machinery.SourceFileLoader(MODULE, str(path)))
    assert loader is not None and loader.loader is not None
    module = importlib.util.module_from_spec(loader)
    sys.modules[MODULE] = module
    sys.dont_write_bytecode = True
    try:
        loader.loader.exec_module(module)
    except BaseException as error:
        raise _Failed(_import_sentence(path, error)) from None
    return module


def _import_sentence(path: Path, error: BaseException) -> str:
    if isinstance(error, FileNotFoundError) and not path.exists():
        return f"There is no file {path}."
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}, line {error.lineno}: {error.msg}."
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    where = f"{path}, line {lines[-1]}" if lines else str(path)
    return f"{where}: {sentence_of(error)}."


def offered(module: ModuleType, path: Path) -> tuple[dict[str, PythonFunction], tuple[str, ...]]:
    """The functions of a module by name, and notices on those that cannot be described."""
    found: dict[str, PythonFunction] = {}
    notices: list[str] = []
    for made in _public(module):
        try:
            described = python_function(made)
        except UsageError as error:
            notices.append(f"{path.name}: {error.sentence} It is set aside.")
            continue
        if described.function.name in found:
            notices.append(f"{path.name}: {described.function.name} is there twice. The later one is set aside.")
            continue
        found[described.function.name] = described
    if not found and not notices:
        notices.append(f"{path.name} has no public functions.")
    return found, tuple(notices)


def _public(module: ModuleType) -> list[Callable[..., object]]:
    """What `__all__` names, else the marked functions, else every function that is defined here and not private."""
    values = {name: value for name, value in vars(module).items() if callable(value) and not inspect.isclass(value)}
    listed = getattr(module, "__all__", None)
    if isinstance(listed, list | tuple):
        return [values[name] for name in listed if name in values]
    marked = list({id(value): value for value in values.values() if is_marked(value)}.values())
    if marked:
        return marked
    own = {id(value): value for name, value in values.items() if not name.startswith("_") and _is_own(value)}
    return list(own.values())


def _is_own(value: Callable[..., object]) -> bool:
    return inspect.isfunction(value) and value.__module__ == MODULE and not value.__name__.startswith("_")


def _entry(made: PythonFunction) -> Message:
    shown = made.function
    return {
        "name": shown.name,
        "description": shown.description,
        "parameters": shown.parameters,
        "is_async": made.is_async,
    }


class _Replies:
    """Lines to the parent, one at a time."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        line = json.dumps(message, default=str).encode() + b"\n"
        with self._lock:
            self._stream.write(line)
            self._stream.flush()


class _Service:
    """Runs plain functions in the main thread, one after the other, and coroutines on a loop in another."""

    def __init__(self, functions: dict[str, PythonFunction], replies: _Replies) -> None:
        self._functions = functions
        self._replies = replies
        self._calls: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._tasks: dict[int, asyncio.Task[object]] = {}

    def serve(self, received: BinaryIO) -> None:
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        threading.Thread(target=self._receive, args=(received,), daemon=True).start()
        while True:
            self._run(self._calls.get())

    def _receive(self, received: BinaryIO) -> None:
        for line in received:
            message = json.loads(line)
            if "cancel" in message:
                self._loop.call_soon_threadsafe(self._cancel, message["cancel"])
            elif (made := self._functions.get(message["name"])) is not None and made.is_async:
                self._loop.call_soon_threadsafe(self._begin, message)
            else:
                self._calls.put(message)
        os._exit(0)

    def _run(self, message: Message) -> None:
        made = self._functions.get(str(message["name"]))
        if made is None:
            self._failed(message, f"There is no function {message['name']}.")
            return
        try:
            value = made.bound(_arguments(message))()
        except BaseException as error:
            self._failed(message, _sentence(error))
            return
        if inspect.isawaitable(value):
            self._loop.call_soon_threadsafe(self._follow, message, _awaited(value))
        else:
            self._finished(message, value)

    def _begin(self, message: Message) -> None:
        self._follow(message, self._coroutine(message))

    async def _coroutine(self, message: Message) -> object:
        return await _awaited(self._functions[str(message["name"])].bound(_arguments(message))())

    def _follow(self, message: Message, work: Coroutine[object, object, object]) -> None:
        number = int(str(message["id"]))
        task = self._tasks[number] = self._loop.create_task(work)
        task.add_done_callback(lambda task: self._ended(message, task))

    def _ended(self, message: Message, task: asyncio.Task[object]) -> None:
        self._tasks.pop(int(str(message["id"])), None)
        if task.cancelled():
            self._failed(message, "The call was cancelled.")
        elif (error := task.exception()) is not None:
            self._failed(message, _sentence(error))
        else:
            self._finished(message, task.result())

    def _cancel(self, number: int) -> None:
        if number in self._tasks:
            self._tasks[number].cancel()

    def _finished(self, message: Message, value: object) -> None:
        try:
            content = shortened(json_text(value), str(message["name"]))
        except BaseException as error:
            self._failed(message, f"The result cannot be shown: {_sentence(error)}")
            return
        self._replies.send({"id": message["id"], "ok": True, "content": content})

    def _failed(self, message: Message, sentence: str) -> None:
        self._replies.send({"id": message["id"], "ok": False, "content": sentence})


async def _awaited(value: object) -> object:
    """The value of a coroutine. One that wants to end the process must not end the loop of the others."""
    try:
        return await value if inspect.isawaitable(value) else value
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"{type(error).__name__}: {error}") from None


def _arguments(message: Message) -> Message:
    arguments = message["arguments"]
    assert isinstance(arguments, dict)
    return arguments


def _sentence(error: BaseException) -> str:
    return str(error) if isinstance(error, BadArguments) else sentence_of(error)

"""The owner thread: the only one that touches llama.cpp. Loads, runs commands between decodes, frees.

Knows no asyncio: results come as concurrent futures and through each job's consumer.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from fclocal import paths
from fclocal.engine.closing import Closer
from fclocal.engine.constraint import Grammars
from fclocal.engine.kv_files import KvFiles
from fclocal.engine.pieces import Pieces
from fclocal.engine.scheduler import Scheduler
from fclocal.engine.sequence import Tools
from fclocal.errors import FclocalError
from fclocal.native.binding import LoadCancelled, Model, Override, system_info, version
from fclocal.native.context import Context

Command: TypeAlias = Callable[[Scheduler], None]
DEFAULT_CONTEXT = 8192


@dataclass(frozen=True, slots=True)
class Options:
    """What is loaded and how. `context` None means what the model was trained for, at most 8192 tokens."""

    path: Path
    context: int | None = None
    gpu_layers: int = -1
    sequences: int = 1
    threads: int | None = None
    kv_type: str = "f16"
    adapters: tuple[tuple[Path, float], ...] = ()
    overrides: Mapping[str, Override] = field(default_factory=dict)
    mmap: bool = True
    keep_prefixes: bool = True

    def identity(self) -> str:
        """Names everything that a KV state depends on."""
        files = [self.path, *(path for path, _ in self.adapters)]
        facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
        scales = [scale for _, scale in self.adapters]
        return repr((facts, scales, sorted(self.overrides.items()), self.kv_type, version(), system_info()))


class Owner:
    """A thread with a model. `loaded` gives the model and its context size; `finished` comes when all is freed."""

    def __init__(self, options: Options, *, progress: Callable[[float], None] | None = None) -> None:
        self.options = options
        self.loaded: Future[tuple[Model, int]] = Future()
        self.finished: Future[None] = Future()
        self._context: Context | None = None
        self._progress = progress
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._gate = threading.Lock()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="fclocal-engine", daemon=True)
        self._thread.start()

    def post(self, command: Command, *, urgent: bool = False) -> bool:
        """Have `command` run between two decodes; `urgent` cuts the running decode short. False when the thread has
        ended. Any thread."""
        with self._gate:
            if self._ended:
                return False
            self._commands.put(command)
        if urgent and self._context:
            self._context.abort(True)
        return True

    def end(self) -> None:
        """Cancel the load or stop decoding, free everything and end the thread. Any thread; more than once is fine."""
        self._ending.set()
        self._commands.put(None)
        if self._context:
            self._context.abort(True)

    def _run(self) -> None:
        try:
            self._load_and_serve()
        except LoadCancelled:
            self.loaded.cancel()
        except BaseException as error:
            if not self.loaded.done():
                self.loaded.set_exception(error)
        finally:
            with self._gate:
                self._ended = True
            self.finished.set_result(None)

    def _load_and_serve(self) -> None:
        options = self.options
        with Model.load(
            options.path,
            gpu_layers=options.gpu_layers,
            overrides=options.overrides,
            mmap=options.mmap,
            progress=self._report,
        ) as model:
            for adapter, scale in options.adapters:
                model.add_adapter(adapter, scale=scale)
            size = options.context or min(model.trained_context, DEFAULT_CONTEXT)
            with Context(
                model, size=size, sequences=options.sequences, threads=options.threads, kv_type=options.kv_type
            ) as context:
                files = KvFiles(paths.cache_folder() / "kv", options.identity()) if options.keep_prefixes else None
                scheduler = _scheduler(model, context, files)
                self._context = context
                if self._ending.is_set():
                    raise LoadCancelled
                self.loaded.set_result((model, size))
                self._serve(scheduler, context)
                self._context = None
                if files:
                    files.close()

    def _serve(self, scheduler: Scheduler, context: Context) -> None:
        error: Exception | None = None
        while not self._ending.is_set():
            # Cleared before the commands are read: one that comes later aborts the decode that follows.
            context.abort(False)
            try:
                self._obey(scheduler)
                if error:
                    scheduler.stop(error)
                elif not self._ending.is_set():
                    scheduler.step()
            except Exception as failure:
                error = failure if isinstance(failure, FclocalError) else _as_error(failure)
                scheduler.stop(error)
        with self._gate:
            self._ended = True
        scheduler.stop()
        while not self._commands.empty():
            command = self._commands.get()
            if command:
                command(scheduler)
                scheduler.stop()

    def _obey(self, scheduler: Scheduler) -> None:
        """Run the commands that wait; with nothing to decode, wait for one."""
        idle = scheduler.idle
        while idle or not self._commands.empty():
            command = self._commands.get()
            if command is None:
                return
            command(scheduler)
            idle = False

    def _report(self, done: float) -> bool:
        if self._progress:
            self._progress(done)
        return not self._ending.is_set()


def _scheduler(model: Model, context: Context, files: KvFiles | None) -> Scheduler:
    vocabulary = model.vocabulary
    pieces = Pieces(vocabulary)
    grammars = Grammars(vocabulary, pieces)
    tools = Tools(constrain=grammars.constraint, piece=pieces.piece, credit=pieces.credit, closer=Closer(pieces))
    return Scheduler(context, tools=tools, sharing=not model.keeps_state, files=files)


def _as_error(failure: Exception) -> FclocalError:
    return FclocalError(f"The engine failed: {failure}.", "The details are in the log of llama.cpp.")

"""Downloads that go on in the background, whatever screen is looked at. Knows no widgets."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from fclocal.tui.saying import sentence

if TYPE_CHECKING:
    from fclocal.models.progress import Progress
    from fclocal.models.pull import PullPlan

State: TypeAlias = Literal["running", "done", "stopped", "failed"]
_WINDOW = 5.0


class _Cancelled(Exception):
    """The user does not want it any more; what has arrived is kept for the next time."""


@dataclass(slots=True)
class Download:
    """One pull. `done` of `total` bytes; `speed` in bytes a second over the last five; `fault` is a sentence."""

    plan: PullPlan
    total: int
    done: int = 0
    speed: float = 0.0
    state: State = "running"
    fault: str = ""
    _cancel: threading.Event = field(default_factory=threading.Event)
    _files: dict[str, int] = field(default_factory=dict)
    _began: tuple[float, int] = (0.0, 0)

    def cancel(self) -> None:
        """Stop soon; what has arrived is kept."""
        self._cancel.set()

    def report(self, progress: Progress) -> None:
        """Called by the thread that downloads."""
        if self._cancel.is_set():
            raise _Cancelled
        if progress.phase not in ("downloading", "there"):
            return
        self._files[progress.name] = progress.done
        self.done = sum(self._files.values())
        now = time.monotonic()
        if now - self._began[0] > _WINDOW:
            self._began = (now, self.done)
        elif now > self._began[0]:
            self.speed = (self.done - self._began[1]) / (now - self._began[0])


class Downloads:
    """Every download of this run, by model name. `changed` is called when one ends."""

    def __init__(self, changed: Callable[[Download], None]) -> None:
        self._changed = changed
        self._tasks: set[asyncio.Task[None]] = set()
        self.by_name: dict[str, Download] = {}

    @property
    def running(self) -> tuple[Download, ...]:
        """Those that go on now."""
        return tuple(one for one in self.by_name.values() if one.state == "running")

    def start(self, plan: PullPlan) -> Download:
        """Begin, or go on with, the download of `plan`."""
        download = Download(plan, plan.variant.size)
        self.by_name[plan.name] = download
        task = asyncio.create_task(self._run(download))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return download

    def cancel_all(self) -> None:
        """Stop every download; what has arrived is kept."""
        for one in self.running:
            one.cancel()

    async def _run(self, download: Download) -> None:
        try:
            await asyncio.to_thread(_pull, download)
            download.state, download.done = "done", download.total
        except _Cancelled:
            download.state = "stopped"
        except Exception as error:
            download.state, download.fault = "failed", sentence(error)
        self._changed(download)


def _pull(download: Download) -> None:
    from fclocal.models.hub import Hub  # deferred: the Hub client is slow to import
    from fclocal.models.pull import pull
    from fclocal.models.store import Store

    pull(download.plan, Store(), Hub(), report=download.report)

"""How a download or a hash goes on: one moving line in a terminal, plain lines elsewhere. Writes to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final, TextIO

from fclocal.escapes import visible
from fclocal.models.fit import gb
from fclocal.models.progress import Progress

WIDTH: Final = 24
PLAIN_STEP: Final = 10
# Hashing less than this takes no time worth telling.
QUIET_CHECK: Final = 100_000_000
_SAMPLE: Final = 5.0


class ProgressLine:
    """Shows Progress values; `total` are the bytes of all files together. A context manager.

    `clock` gives seconds. The speed is that of the last five seconds.
    """

    def __init__(
        self, *, total: int = 0, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._total = total
        self._clock = clock
        self._samples: list[tuple[float, int]] = []
        self._shown = -1.0
        self._step = -1
        self._key = ("", "")
        self._finished_files: dict[str, int] = {}

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live and self._shown >= 0:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def __call__(self, progress: Progress) -> None:
        """Show one value; at most ten times a second."""
        now = self._clock()
        key = (progress.name, progress.phase)
        if key != self._key:
            self._key, self._samples, self._step = key, [], -1
        if progress.phase in ("downloading", "there"):
            self._finished_files[progress.name] = progress.done
        self._samples.append((now, progress.done))
        while len(self._samples) > 2 and now - self._samples[0][0] > _SAMPLE:
            self._samples.pop(0)
        if self._live:
            if now - self._shown >= 0.1 or progress.done == progress.total:
                self._shown = now
                self._stream.write(f"\r\x1b[K{self._line(progress)}")
                self._stream.flush()
            return
        if progress.phase == "checking" and progress.total < QUIET_CHECK:
            return
        step = progress.done * PLAIN_STEP // progress.total if progress.total else PLAIN_STEP
        if step != self._step:
            self._step = step
            print(self._line(progress), file=self._stream, flush=True)

    def _line(self, progress: Progress) -> str:
        name = visible(progress.name.rsplit("/", 1)[-1])
        if progress.phase == "waiting":
            return f"{name}: another download of it is running; waiting"
        if progress.phase == "there":
            return f"{name}: already there ({gb(progress.total)})"
        share = progress.done / progress.total if progress.total else 1.0
        bar = "#" * int(share * WIDTH)
        text = f"{name} {progress.phase} [{bar:<{WIDTH}}] {share:4.0%} {gb(progress.done)} of {gb(progress.total)}"
        speed = self._speed()
        if speed:
            text += f"  {gb(speed)}/s  {_clock_time((progress.total - progress.done) / speed)}"
        arrived = sum(self._finished_files.values())
        if self._total > progress.total and progress.phase == "downloading":
            text += f"  (all: {arrived / self._total:.0%} of {gb(self._total)})"
        return text

    def _speed(self) -> float:
        (begin, first), (end, last) = self._samples[0], self._samples[-1]
        return (last - first) / (end - begin) if end > begin and last > first else 0.0


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

"""Where llama.cpp's log lines go: a bounded private file, or a callable. Knows no llama.cpp."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

MAX_LOG = 4 << 20

# Receives one piece of log text, which may be a part of a line.
LogSink: TypeAlias = Callable[[str], None]


class LogFile:
    """Appends log text to `path` (mode 0600); a file over 4 MB begins again. A log that cannot be written is dropped:
    it must never stop the model."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._failed = False

    def __call__(self, text: str) -> None:
        if self._failed:
            return
        try:
            if self._descriptor is None:
                self._descriptor = self._open()
            os.write(self._descriptor, text.encode("utf-8", "replace"))
        except OSError:
            self._failed = True

    def _open(self) -> int:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        if self._path.exists() and self._path.stat().st_size > MAX_LOG:
            flags |= os.O_TRUNC
        return os.open(self._path, flags, 0o600)

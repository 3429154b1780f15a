"""A program on a pseudo-terminal of its own: every byte it writes is kept, with the time it came."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType


class RawTerminal:
    """Runs `words` (a program and its arguments). `output` is everything it wrote so far, as bytes."""

    def __init__(
        self, words: Sequence[str], *, size: tuple[int, int] = (80, 24), env: Mapping[str, str] | None = None
    ) -> None:
        self.output = bytearray()
        self.began = time.monotonic()
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            try:
                os.execvpe(words[0], list(words), {**os.environ, "TERM": "xterm-256color", **(env or {})})
            finally:
                os._exit(127)
        self._status: int | None = None
        self._other_end: int | None = None
        self.resize(*size)

    def __enter__(self) -> RawTerminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.left()
        os.close(self._file)
        if self._other_end is not None:
            os.close(self._other_end)

    @property
    def modes(self) -> list[object]:
        """The terminal's modes, as termios has them."""
        return list(termios.tcgetattr(self._file))

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size; the program gets SIGWINCH."""
        fcntl.ioctl(self._file, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def signal(self, number: int) -> None:
        """Send the program a signal."""
        os.kill(self.pid, number)

    def hang_up(self) -> None:
        """Close the terminal, as when its window is closed; nothing more is read or typed."""
        os.close(self._file)
        self._file, self._other_end = os.pipe()

    def write(self, text: str | bytes) -> None:
        """Type or paste; reads meanwhile, so that neither side waits for the other."""
        rest = text.encode() if isinstance(text, str) else text
        while rest:
            readable, writable, _ = select.select([self._file], [self._file], [], 30)
            if not readable and not writable:
                raise TimeoutError("The program takes no input.")
            if readable:
                self._take()
            if writable:
                rest = rest[os.write(self._file, rest[:2048]) :]

    def read(self, seconds: float) -> bool:
        """Take what comes within `seconds`; False when nothing came or the program ended."""
        readable, _, _ = select.select([self._file], [], [], seconds)
        return bool(readable) and self._take()

    def wait_for(self, *words: str, after: int = 0, seconds: float = 60) -> float:
        """Read until all of `words` stand in the output from byte `after` on. Returns the time.monotonic() of it."""
        wanted = [word.encode() for word in words]
        end = time.monotonic() + seconds
        while not all(word in self.output[after:] for word in wanted):
            left = end - time.monotonic()
            if left <= 0 or (not self.read(left) and self._status is None and self._ended()):
                raise AssertionError(f"{words} never came. The last bytes:\n{bytes(self.output[-3000:])!r}")
        return time.monotonic()

    def left(self, seconds: float = 60) -> int:
        """Wait until the program has ended; its exit code, or 128 + the signal that ended it."""
        end = time.monotonic() + seconds
        while self._status is None and not self._ended():
            if time.monotonic() > end:
                raise TimeoutError(f"It does not end. The last bytes:\n{bytes(self.output[-3000:])!r}")
            self.read(0.05)
        while self.read(0):
            pass
        code = os.waitstatus_to_exitcode(self._status or 0)
        return code if code >= 0 else 128 - code

    def _take(self) -> bool:
        try:
            data = os.read(self._file, 65536)
        except OSError:  # Linux says so when the other side is closed
            return False
        self.output += data
        return bool(data)

    def _ended(self) -> bool:
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self._status = status
        return bool(pid)


def fclocal(*words: str, home: Path, size: tuple[int, int] = (80, 24), **env: str) -> RawTerminal:
    """`fclocal` with these words, its files below `home`."""
    folders = {f"FCLOCAL_{name}": str(home / name.lower()) for name in ("CONFIG", "DATA", "CACHE")}
    offline = {"HF_HOME": str(home / "hf"), "HF_HUB_OFFLINE": "1"}
    return RawTerminal([sys.executable, "-m", "fclocal", *words], size=size, env={**folders, **offline, **env})

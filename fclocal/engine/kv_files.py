"""KV states of stable prompt prefixes on disk, so that another process need not read the function block again.

Knows keys, bytes and files; not llama.cpp. A cache: whatever goes wrong, the prompt is read as if there were none.
"""

from __future__ import annotations

import hashlib
import os
import threading
import zlib
from array import array
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 1 << 30
MIN_TOKENS: Final = 128
# A state is kept when reading the prompt takes at least this many seconds, and as many times as long as the file.
WORTH_SECONDS: Final = 0.1
WORTH_TIMES: Final = 2.0
_DISK_RATE: Final = 200e6
_MAGIC: Final = b"fclocal-kv-1"
_CHECK_BYTES: Final = 4


class KvFiles:
    """The states of one model in `folder`. `identity` names everything that a state depends on: the weights file,
    adapters, llama.cpp's version and the KV type."""

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder = folder
        self._identity = identity.encode()
        self._writer: threading.Thread | None = None

    def holds(self, tokens: Sequence[int]) -> bool:
        """Whether there is a state of exactly these tokens."""
        return self._path(tokens).exists()

    def load(self, tokens: Sequence[int]) -> bytes | None:
        """The state of `tokens`, or None when there is none that is whole."""
        path = self._path(tokens)
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        begin = len(_MAGIC) + _CHECK_BYTES
        state = data[begin:]
        if data[:begin] == _MAGIC + _check(state):
            return state
        with suppress(OSError):
            path.unlink()
        return None

    def save(self, tokens: Sequence[int], state: bytes) -> None:
        """Write the state of `tokens` in the background, and forget the states used longest ago beyond 1 GB."""
        if self._writer and self._writer.is_alive():
            return
        self._writer = threading.Thread(target=self._write, args=(self._path(tokens), state), name="fclocal-kv")
        self._writer.start()

    def close(self) -> None:
        """Wait for what is being written."""
        if self._writer:
            self._writer.join()

    def _write(self, path: Path, state: bytes) -> None:
        partial = path.with_suffix(f".{os.getpid()}.partial")
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                partial.touch(mode=0o600)
                with partial.open("wb") as file:
                    file.write(_MAGIC + _check(state))
                    file.write(state)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
            self._trim()

    def _trim(self) -> None:
        files = [(entry.stat().st_mtime, entry.stat().st_size, entry) for entry in self._folder.glob("*.kv")]
        total = 0
        for _, size, path in sorted(files, reverse=True):
            total += size
            if total > MAX_BYTES:
                path.unlink(missing_ok=True)

    def _path(self, tokens: Sequence[int]) -> Path:
        key = hashlib.sha256(self._identity + b"\0" + array("i", tokens).tobytes()).hexdigest()
        return self._folder / f"{key}.kv"


def worth_keeping(*, tokens: int, tokens_per_second: float, size: int) -> bool:
    """Whether loading a state of `size` bytes saves time against reading its tokens again."""
    if not tokens_per_second or size > MAX_BYTES // 4:
        return False
    seconds = tokens / tokens_per_second
    return seconds >= WORTH_SECONDS and seconds >= WORTH_TIMES * size / _DISK_RATE


def _check(state: bytes) -> bytes:
    return zlib.crc32(state).to_bytes(_CHECK_BYTES, "little")

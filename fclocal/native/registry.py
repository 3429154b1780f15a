"""ggml's registry of backends: functions that llama_cpp does not bind, and backends that are libraries of their own.

Works on llama.cpp's library as its caller loaded it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fclocal.errors import FclocalError


def function(llama: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """ggml's function `name`, with the ctypes of its result and arguments."""
    for library in _libraries(llama):
        try:
            address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        except AttributeError:
            continue
        return ctypes.CFUNCTYPE(result, *arguments)(address or 0)
    raise RuntimeError(f"llama.cpp has no {name}")


def load_backends(llama: ctypes.CDLL) -> None:
    """Load the backends that lie beside llama.cpp as libraries: of those for the CPU, the best that this one can run.

    Does nothing where backends are linked in. Call it before anything that needs a backend: llama.cpp itself would look
    for libraries in the current folder. Raises FclocalError when none runs here.
    """
    count = function(llama, "ggml_backend_reg_count", ctypes.c_size_t)
    if count():
        return
    folder = _folder(llama)
    function(llama, "ggml_backend_load_all_from_path", None, ctypes.c_char_p)(str(folder).encode())
    if not count():
        raise FclocalError(f"No backend of llama.cpp in {folder} runs on this machine.", "Try: fclocal doctor --fix")


def _folder(llama: ctypes.CDLL) -> Path:
    return Path(llama._name).parent


def _libraries(llama: ctypes.CDLL) -> Iterator[ctypes.CDLL]:
    """llama.cpp's library, through which ggml is found on Linux and macOS, then ggml's own beside it (Windows)."""
    yield llama
    for path in sorted(_folder(llama).glob("*ggml*.dll")):
        yield ctypes.CDLL(str(path))

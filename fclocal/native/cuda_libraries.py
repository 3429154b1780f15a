"""Make NVIDIA's libraries from PyPI known to the loader, so that a CUDA build needs no CUDA toolkit beside it."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

# In the order in which they need each other.
_NAMES: Final = ("libcudart.so.*", "libcublasLt.so.*", "libcublas.so.*")


def preload() -> None:
    """Load the CUDA runtime and cuBLAS that the system does not have. Does nothing without a CUDA build."""
    if not any(next(folder.glob("lib/*ggml-cuda*"), None) for folder in _package("llama_cpp")):
        return
    for folder in _package("nvidia"):
        if sys.platform == "win32":
            for libraries in {found.parent for found in folder.rglob("cu*64_*.dll")}:
                os.add_dll_directory(str(libraries))
            continue
        for name in _NAMES:
            for library in sorted(folder.glob(f"*/lib/{name}")):
                _load(library)


def _load(library: Path) -> None:
    """The system's library of that name comes first; one that cannot be loaded is left to llama.cpp's own message."""
    with suppress(OSError):
        ctypes.CDLL(library.name)
        return
    with suppress(OSError):
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


def _package(name: str) -> Iterator[Path]:
    """The folders of an installed package, which is not imported."""
    found = importlib.util.find_spec(name)
    yield from map(Path, (found.submodule_search_locations or ()) if found else ())

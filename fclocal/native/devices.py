"""The compute devices that llama.cpp sees, with their memory. Knows ggml's device registry, not models."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from fclocal.native.binding import api, start_backend

DeviceKind: TypeAlias = Literal["cpu", "gpu", "igpu", "accelerator", "other"]

# enum ggml_backend_dev_type in ggml-backend.h
_KINDS: Final[tuple[DeviceKind, ...]] = ("cpu", "gpu", "igpu", "accelerator")


@dataclass(frozen=True, slots=True)
class Device:
    """One device. Memory is in bytes; free memory is what the driver reports now, 0 where it does not say."""

    name: str
    description: str
    kind: DeviceKind
    free: int
    total: int


def devices() -> tuple[Device, ...]:
    """Every device of the built-in backends, in llama.cpp's order."""
    start_backend()
    get = _function("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)
    count = _function("ggml_backend_dev_count", ctypes.c_size_t)()
    return tuple(_device(get(index)) for index in range(count))


def _device(pointer: int) -> Device:
    kind = _function("ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)(pointer)
    size = ctypes.POINTER(ctypes.c_size_t)
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    memory = _function("ggml_backend_dev_memory", None, ctypes.c_void_p, size, size)
    memory(pointer, ctypes.byref(free), ctypes.byref(total))
    return Device(
        name=_text("ggml_backend_dev_name", pointer),
        description=_text("ggml_backend_dev_description", pointer),
        kind=_KINDS[kind] if 0 <= kind < len(_KINDS) else "other",
        free=free.value,
        total=total.value,
    )


def _text(name: str, pointer: int) -> str:
    found: bytes | None = _function(name, ctypes.c_char_p, ctypes.c_void_p)(pointer)
    return (found or b"").decode("utf-8", "replace").strip()


def _function(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """A function of ggml's device registry, which llama_cpp does not bind."""
    for library in _libraries():
        try:
            address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        except AttributeError:
            continue
        return ctypes.CFUNCTYPE(result, *arguments)(address or 0)
    raise RuntimeError(f"llama.cpp has no {name}")


def _libraries() -> Iterator[ctypes.CDLL]:
    """llama.cpp's library, through which ggml is found on Linux and macOS, then ggml's own beside it (Windows)."""
    yield api._lib
    for path in sorted(Path(api._lib._name).parent.glob("*ggml*.dll")):
        yield ctypes.CDLL(str(path))

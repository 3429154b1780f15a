"""The compute devices that llama.cpp sees, with their memory. Knows ggml's device registry, not models."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from fclocal.native.binding import api, start_backend
from fclocal.native.registry import function as ggml_function

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
    return ggml_function(api._lib, name, result, *arguments)

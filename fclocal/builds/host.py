"""What decides which build of llama.cpp fits a machine, as values. Looks at nothing and decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Vendor: TypeAlias = Literal["nvidia", "amd", "intel", "apple"]
Backend: TypeAlias = Literal["cuda", "rocm", "vulkan", "metal", "cpu"]
System: TypeAlias = Literal["linux", "darwin", "windows"]
Tool: TypeAlias = Literal["c++", "nvcc", "hipcc", "glslc"]
Version: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. `arch` is NVIDIA's compute capability ("8.9"), AMD's target ("gfx1100"), or empty when not known."""

    vendor: Vendor
    name: str = ""
    arch: str = ""
    integrated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A machine. `machine` is the processor as Python runs on it ("x86_64", "arm64").

    `cuda` is the newest CUDA that the NVIDIA driver runs, None without a driver; `toolkit` is the CUDA of
    nvcc; `cuda_libraries` are the major versions of the CUDA runtime and cuBLAS that the system has; `rocm` is the
    installed ROCm; `vulkan` says that there is a Vulkan loader; `tools` are what a build from source can use.
    """

    system: System
    machine: str
    gpus: tuple[Gpu, ...] = ()
    cuda: Version | None = None
    toolkit: Version | None = None
    cuda_libraries: frozenset[int] = frozenset()
    rocm: Version | None = None
    vulkan: bool = False
    rosetta: bool = False
    wsl: bool = False
    tools: frozenset[Tool] = frozenset()

    def of(self, vendor: Vendor) -> tuple[Gpu, ...]:
        """The GPUs of one vendor."""
        return tuple(gpu for gpu in self.gpus if gpu.vendor == vendor)

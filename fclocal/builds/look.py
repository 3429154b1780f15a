"""Look at this machine: GPUs, drivers, tools. Knows Linux, macOS, Windows and WSL; decides nothing."""

from __future__ import annotations

import ctypes
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from fclocal.builds.host import Gpu, Host, System, Tool, Vendor, Version

# A program and its arguments -> what it prints, or None when it is not there or fails.
Run: TypeAlias = Callable[[Sequence[str]], str | None]

SECONDS: Final = 15.0
_CUDA: Final = re.compile(r"CUDA (?:UMD )?Version:\s*(\d+)\.(\d+)")
_PCI: Final[dict[str, Vendor]] = {"0x10de": "nvidia", "0x1002": "amd", "0x8086": "intel"}
_NAMES: Final[dict[str, Vendor]] = {"nvidia": "nvidia", "amd": "amd", "radeon": "amd", "intel": "intel"}
_TOOLS: Final[dict[Tool, tuple[str, ...]]] = {
    "c++": ("c++", "g++", "clang++", "cl"),
    "nvcc": ("nvcc",),
    "hipcc": ("hipcc",),
    "glslc": ("glslc",),
}
_CUDA_MAJORS: Final = (11, 12, 13)


@dataclass(frozen=True, slots=True)
class Senses:
    """How a machine is looked at: programs, files under `root`, and whether a library can be loaded."""

    run: Run
    which: Callable[[str], str | None]
    loads: Callable[[str], bool]
    root: Path = Path("/")


def look(senses: Senses | None = None, *, system: str = sys.platform, machine: str | None = None) -> Host:
    """This machine. Never raises: what cannot be found out counts as not there."""
    use = senses or Senses(_run, shutil.which, _loads)
    name: System = "darwin" if system == "darwin" else "windows" if system in ("win32", "cygwin") else "linux"
    kind = (machine or platform.machine()).lower().replace("amd64", "x86_64")
    kind = "arm64" if kind == "aarch64" else kind
    cuda, nvidia = _nvidia(use)
    gpus = nvidia + tuple(gpu for gpu in _others(use, name) if gpu.vendor != "nvidia" or not nvidia)
    rosetta = (
        name == "darwin" and kind == "x86_64" and _first(use.run(("sysctl", "-n", "sysctl.proc_translated"))) == "1"
    )
    if name == "darwin" and (kind == "arm64" or rosetta):
        gpus = (Gpu("apple", _first(use.run(("sysctl", "-n", "machdep.cpu.brand_string")))),)
    return Host(
        system=name,
        machine=kind,
        gpus=gpus,
        cuda=cuda,
        toolkit=_toolkit(use) if nvidia else None,
        cuda_libraries=frozenset(_cuda_libraries(use, name)) if nvidia else frozenset(),
        rocm=_rocm(use),
        vulkan=name != "darwin" and use.loads("vulkan-1.dll" if name == "windows" else "libvulkan.so.1"),
        rosetta=rosetta,
        wsl="microsoft" in _text(use.root / "proc/version").lower(),
        tools=frozenset(_tools(use)),
    )


def _nvidia(use: Senses) -> tuple[Version | None, tuple[Gpu, ...]]:
    """The newest CUDA of the driver, and the GPUs that it drives."""
    places = ("nvidia-smi", str(use.root / "usr/lib/wsl/lib/nvidia-smi"))
    program = next((found for place in places if (found := use.which(place))), None)
    page = use.run((program,)) if program else None
    version = _CUDA.search(page or "")
    if program is None or version is None:
        return None, ()
    rows = use.run((program, "--query-gpu=name,compute_cap", "--format=csv,noheader"))
    if rows is None:
        rows = use.run((program, "--query-gpu=name", "--format=csv,noheader"))
    cells = [[cell.strip() for cell in line.split(",")] for line in (rows or "").splitlines() if line.strip()]
    gpus = tuple(Gpu("nvidia", row[0], row[1] if len(row) > 1 else "") for row in cells)
    return (int(version[1]), int(version[2])), gpus or (Gpu("nvidia"),)


def _toolkit(use: Senses) -> Version | None:
    """The CUDA that nvcc compiles for."""
    program = next((found for place in _places(use, "nvcc") if (found := use.which(place))), None)
    version = re.search(r"release (\d+)\.(\d+)", use.run((program, "--version")) or "") if program else None
    return (int(version[1]), int(version[2])) if version else None


def _others(use: Senses, system: System) -> Iterator[Gpu]:
    """GPUs as the bus shows them, also those without a driver."""
    if system == "windows":
        query = "(Get-CimInstance Win32_VideoController).Name"
        for name in (use.run(("powershell", "-NoProfile", "-Command", query)) or "").splitlines():
            vendor = next((vendor for word, vendor in _NAMES.items() if word in name.lower()), None)
            if vendor:
                yield Gpu(vendor, name.strip(), integrated=vendor == "intel" and "arc" not in name.lower())
        return
    targets = iter(_amd_targets(use))
    for device in sorted((use.root / "sys/bus/pci/devices").glob("*")):
        vendor = _PCI.get(_text(device / "vendor"))
        if vendor and _text(device / "class").startswith("0x03"):
            arch = next(targets, "") if vendor == "amd" else ""
            # The bus of a processor's own GPU is the root bus.
            yield Gpu(vendor, arch=arch, integrated=vendor == "intel" and device.name.startswith("0000:00:"))


def _amd_targets(use: Senses) -> Iterator[str]:
    """AMD's names of the GPUs that its kernel driver offers for computing: 110000 is gfx1100, 90012 is gfx90c."""
    for node in sorted((use.root / "sys/class/kfd/kfd/topology/nodes").glob("*/properties")):
        found = re.search(r"^gfx_target_version (\d+)$", _text(node), re.MULTILINE)
        if found and (number := int(found[1])):
            yield f"gfx{number // 10_000}{number // 100 % 100:x}{number % 100:x}"


def _rocm(use: Senses) -> Version | None:
    found = re.match(r"(\d+)\.(\d+)", _text(use.root / "opt/rocm/.info/version"))
    return (int(found[1]), int(found[2])) if found else None


def _cuda_libraries(use: Senses, system: System) -> Iterator[int]:
    """Major versions of which the CUDA runtime and cuBLAS can both be loaded."""
    for major in _CUDA_MAJORS:
        if system == "windows":
            found = all(use.which(f"{name}64_{major}.dll") for name in ("cudart", "cublas"))
        else:
            found = use.loads(f"libcudart.so.{'11.0' if major == 11 else major}") and use.loads(f"libcublas.so.{major}")
        if found:
            yield major


def _tools(use: Senses) -> Iterator[Tool]:
    yield from (tool for tool in _TOOLS if any(map(use.which, _places(use, tool))))


def _places(use: Senses, tool: Tool) -> Iterator[str]:
    """Names that are looked for on the PATH, then whole paths."""
    yield from _TOOLS[tool]
    yield from (str(use.root / folder / name) for folder in _FOLDERS.get(tool, ()) for name in _TOOLS[tool])


# Where toolkits lie that do not put themselves on the PATH.
_FOLDERS: Final[dict[Tool, tuple[str, ...]]] = {"nvcc": ("usr/local/cuda/bin",), "hipcc": ("opt/rocm/bin",)}


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _first(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


def _run(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True

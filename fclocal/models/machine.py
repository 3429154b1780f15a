"""The memory of this machine: what is free for a model. Asks the operating system, not llama.cpp."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import psutil

from fclocal.models.fit import Gpu, Machine

_CGROUP: Final = Path("/sys/fs/cgroup")


def this_machine(gpus: Iterable[Gpu] = ()) -> Machine:
    """Free main memory (within the limit of a container, if there is one) and the given devices."""
    free = min(psutil.virtual_memory().available, _container_room())
    return Machine(free, tuple(gpus), repacks=platform.machine().lower() in ("x86_64", "amd64", "arm64", "aarch64"))


def _container_room() -> int:
    """What the control group of this process leaves, or a number larger than any memory."""
    limit, used = _number(_CGROUP / "memory.max"), _number(_CGROUP / "memory.current")
    if limit is None or used is None:
        return 1 << 62
    # Page cache counts as used there but is given back when it is needed.
    cache = _statistic("inactive_file") + _statistic("active_file")
    return max(0, limit - used + cache)


def _statistic(name: str) -> int:
    try:
        lines = (_CGROUP / "memory.stat").read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):
        return None

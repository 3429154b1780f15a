"""The work of `fclocal doctor`: gather facts, judge them, print them."""

from __future__ import annotations

import platform
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fclocal import __version__, paths
from fclocal.builds.choose import candidates
from fclocal.builds.look import look
from fclocal.chat.store import check_file
from fclocal.cli.rim import json_line
from fclocal.errors import ExitCode, FclocalError
from fclocal.escapes import visible
from fclocal.models.catalog import load_catalog
from fclocal.models.machine import this_machine
from fclocal.models.names import STARTER, resolve
from fclocal.models.store import Store
from fclocal.native import binding
from fclocal.native.devices import Device, devices
from fclocal.runtime import settings
from fclocal.tools.mcp.trust import user_approvals

PACKAGES = ("llama-cpp-python", "llguidance", "huggingface-hub", "textual", "mcp", "pydantic")
LOW_DISK = 5 << 30
SAFE_SQLITE = (3, 51, 3)
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Health:
    """Everything doctor knows.

    Memory and disk are in bytes; `problems` maps a sentence to its cure, `hints` are no problems yet.
    """

    versions: Mapping[str, str]
    backend: str
    gpu_offload: bool
    devices: tuple[Device, ...]
    free_memory: int
    folders: Mapping[str, str]
    free_disk: int
    problems: Mapping[str, str]
    hints: Mapping[str, str]


def examine() -> Health:
    """Look at this machine. Never raises for what is merely wrong: that is a problem with its cure."""
    found = devices()
    folders = _folders()
    disk = _free_disk(paths.data_folder())
    problems = dict(_problems(found, disk))
    return Health(
        versions=_versions(),
        backend=binding.system_info().strip(),
        gpu_offload=binding.supports_gpu_offload(),
        devices=found,
        free_memory=this_machine().memory,
        folders=folders,
        free_disk=disk,
        problems=problems,
        hints=dict(_hints()),
    )


def show(*, as_json: bool) -> int:
    """Print what was found; 1 when there are problems."""
    health = examine()
    if as_json:
        print(json_line(asdict(health)))
    else:
        for line in _lines(health):
            print(visible(line))
    return ExitCode.UNEXPECTED if health.problems else ExitCode.DONE


def _lines(health: Health) -> Iterator[str]:
    for name, text in health.versions.items():
        yield f"{name:<18}{text}"
    yield f"{'backend':<18}{health.backend}"
    for device in health.devices:
        memory = f"{device.free / _GIB:.1f} of {device.total / _GIB:.1f} GiB free"
        yield f"{device.kind:<18}{device.name}: {device.description}, {memory}"
    yield f"{'memory':<18}{health.free_memory / _GIB:.1f} GiB free"
    for name, text in health.folders.items():
        yield f"{name:<18}{text}"
    yield f"{'disk':<18}{health.free_disk / _GIB:.1f} GiB free"
    for sentence, cure in health.problems.items():
        yield f"{'problem':<18}{sentence}"
        if cure:
            yield f"{'  cure':<18}{cure}"
    for sentence, cure in health.hints.items():
        yield f"{'hint':<18}{sentence} {cure}"
    if not health.problems:
        yield f"{'problems':<18}none"


def _versions() -> dict[str, str]:
    found = {"fclocal": __version__, "Python": platform.python_version(), "system": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found | {"llama.cpp": binding.version(), "SQLite": sqlite3.sqlite_version}


def _folders() -> dict[str, str]:
    return {
        "program": str(Path(sys.modules["fclocal"].__file__ or "").parent),
        "catalog": str(paths.catalog_file()),
        "settings": str(paths.config_folder()),
        "data": str(paths.data_folder()),
        "models": str(Store().root),
        "llama.cpp log": str(paths.log_file()),
    }


def _free_disk(folder: Path) -> int:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _problems(found: tuple[Device, ...], disk: int) -> Iterator[tuple[str, str]]:
    yield from _gpu_problem(found)
    if disk < LOW_DISK:
        yield f"Only {disk / _GIB:.1f} GiB of disk are free.", "Models take 1 to 40 GB: free some space."
    yield from _raised(settings)
    yield from _raised(lambda: resolve(STARTER, load_catalog(), Store()))
    yield from _raised(check_file)
    yield from _raised(Store().check_index)
    for problem in (*load_catalog().problems, user_approvals().problem):
        if problem:
            yield problem, ""


def _hints() -> Iterator[tuple[str, str]]:
    if sqlite3.sqlite_version_info < SAFE_SQLITE:
        cure = "Nothing is needed for one fclocal at a time; a newer Python brings a newer SQLite."
        yield f"SQLite {sqlite3.sqlite_version} has a rare fault with several writers (fixed in 3.51.3).", cure


def _gpu_problem(found: tuple[Device, ...]) -> Iterator[tuple[str, str]]:
    """A GPU that is there but that this build of llama.cpp, or the system, cannot use."""
    if any(device.kind in ("gpu", "igpu") for device in found):
        return
    fitting = candidates(look())
    if fitting.wants_gpu:
        yield "There is a GPU that this build of llama.cpp cannot use.", "Try: fclocal doctor --fix"
        return
    for obstacle in fitting.obstacles:
        yield obstacle.sentence, obstacle.cure


def _raised(attempt: Callable[[], object]) -> Iterator[tuple[str, str]]:
    try:
        attempt()
    except FclocalError as error:
        yield error.sentence, error.cure

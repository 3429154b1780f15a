"""Where fclocal is installed, and the command that exchanges llama-cpp-python there. Runs nothing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shlex
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from packaging.requirements import Requirement

from fclocal.builds.choose import Build
from fclocal.builds.wheels import PROJECT, WheelIndex
from fclocal.errors import UsageError

Kind: TypeAlias = Literal["app", "system", "venv", "pipx", "uv tool", "conda"]

_MARKS: Final[tuple[tuple[str, Kind], ...]] = (
    ("pipx_metadata.json", "pipx"),
    ("uv-receipt.toml", "uv tool"),
    ("conda-meta", "conda"),
)


@dataclass(frozen=True, slots=True)
class Environment:
    """The environment that fclocal runs in. `pip` says whether it has pip; `uv` is where uv is, or empty."""

    kind: Kind
    python: str
    site: Path
    pip: bool
    uv: str
    writable: bool
    managed: bool
    windows: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A command with the variables that it needs."""

    words: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()
    windows: bool = False

    @property
    def text(self) -> str:
        """As it is typed: into a POSIX shell, or into PowerShell on Windows."""
        if self.windows:
            return (
                "".join(f"$env:{key} = {_quoted(value)}; " for key, value in self.variables)
                + "& "
                + " ".join(map(_quoted, self.words))
            )
        return " ".join([*(f"{key}={shlex.quote(value)}" for key, value in self.variables), shlex.join(self.words)])


def this_environment() -> Environment:
    """The environment of this process."""
    prefix = Path(sys.prefix)
    kind: Kind = "system" if sys.prefix == sys.base_prefix else "venv"
    kind = next((known for mark, known in _MARKS if (prefix / mark).exists()), kind)
    site = Path(sysconfig.get_path("platlib"))
    return Environment(
        kind="app" if getattr(sys, "frozen", False) else kind,
        python=sys.executable,
        site=site,
        pip=importlib.util.find_spec("pip") is not None,
        uv=shutil.which("uv") or "",
        writable=os.access(site, os.W_OK),
        managed=kind == "system" and Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").exists(),
        windows=os.name == "nt",
    )


def fitting_version() -> str:
    """The version of llama-cpp-python that is installed, else the oldest that fclocal asks for."""
    try:
        return importlib.metadata.version(PROJECT)
    except importlib.metadata.PackageNotFoundError:
        asked = map(Requirement, importlib.metadata.requires("fclocal") or ())
        bounds = (bound for each in asked if each.name == PROJECT for bound in each.specifier)
        return next((bound.version for bound in bounds if bound.operator in (">=", "==")), "")


def refuse_unchangeable(environment: Environment) -> None:
    """Raise UsageError where packages must not or cannot be exchanged."""
    if environment.kind == "app":
        raise UsageError(
            "This is the one-folder app: its llama.cpp cannot be exchanged.",
            "Install fclocal with pipx instead (pipx install fclocal), then: fclocal doctor --fix",
        )
    if environment.managed:
        raise UsageError(
            f"The operating system manages this Python ({environment.python}).",
            "Install fclocal with pipx instead (pipx install fclocal), then: fclocal doctor --fix",
        )
    if not environment.writable:
        raise UsageError(f"{environment.site} cannot be written.", "Run it as whoever installed fclocal.")
    if not environment.pip and not environment.uv:
        raise UsageError("This environment has neither pip nor uv.", f"Try: {environment.python} -m ensurepip")


def install(build: Build, environment: Environment, index: WheelIndex) -> Command:
    """The one command that puts `build` into the environment and touches no other package of it."""
    requirement = f"{PROJECT}=={index.version}"
    if build.tag:
        options = ["--only-binary", ":all:", "--extra-index-url", index.url(build.tag)]
        return _command(environment, [*options, requirement, *build.packages])
    variables = build.variables
    if build.defines:
        variables = (("CMAKE_ARGS", " ".join(f"-D{define}" for define in build.defines)), *variables)
    no_cache = "--no-cache-dir" if environment.pip else "--no-cache"
    return _command(environment, ["--no-binary", PROJECT, no_cache, requirement], variables)


def reinstall(environment: Environment, version: str) -> Command:
    """The command that puts PyPI's build of a version back, from pip's cache where it was built before."""
    return _command(environment, [f"{PROJECT}=={version}"])


def install_file(wheel: Path, environment: Environment) -> Command:
    """The command that puts a wheel file into the environment."""
    return _command(environment, [str(wheel)])


def _command(environment: Environment, rest: list[str], variables: tuple[tuple[str, str], ...] = ()) -> Command:
    if environment.pip:
        first = [environment.python, "-m", "pip", "install", "--force-reinstall", "--no-deps"]
    else:
        first = [environment.uv, "pip", "install", "--python", environment.python, "--reinstall", "--no-deps"]
    return Command((*first, *rest), variables, environment.windows)


def _quoted(word: str) -> str:
    """A word in PowerShell."""
    plain = word and all(char.isalnum() or char in r"-_./\:=+" for char in word)
    return word if plain else "'" + word.replace("'", "''") + "'"

"""The committed source of this checkout: its version, the time of its last commit, a copy in another folder."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What a release never holds when there is no git to ask what belongs to it.
_UNTRACKED = shutil.ignore_patterns(
    ".venv*", ".git", "__pycache__", "*.egg-info", ".*_cache", "dist", "build", "runs", "PKG-INFO"
)


class Refused(Exception):
    """A sentence that says what keeps this from being released."""


def version() -> str:
    """The one version, read and not imported."""
    found = re.search(r'^__version__ = "([^"]+)"$', (ROOT / "fclocal/__init__.py").read_text("utf-8"), re.MULTILINE)
    if not found:
        raise Refused('fclocal/__init__.py has no line __version__ = "...".')
    return found[1]


def has_git() -> bool:
    """Whether this is a checkout and not an unpacked sdist."""
    return (ROOT / ".git").exists()


def git(*arguments: str) -> str:
    """What git prints. Raises Refused with its complaint."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        raise Refused(f"git {arguments[0]}: {done.stderr.decode().strip()}")
    return done.stdout.decode()


def uncommitted() -> tuple[str, ...]:
    """Changed and new files, as git names them."""
    return tuple(git("status", "--porcelain").splitlines())


def tracked() -> tuple[str, ...]:
    """Every file of the last commit."""
    return tuple(name for name in git("ls-tree", "-r", "-z", "--name-only", "HEAD").split("\0") if name)


def epoch() -> str | None:
    """Unix seconds of the last commit, for SOURCE_DATE_EPOCH; an sdist has them as the time of its PKG-INFO."""
    if has_git():
        return git("log", "-1", "--format=%ct").strip()
    packed = ROOT / "PKG-INFO"
    return str(int(packed.stat().st_mtime)) if packed.exists() else None


def copy_to(folder: Path) -> Path:
    """The last commit under `folder`/fclocal; what lies here when there is no git. File modes follow the umask."""
    target = folder / "fclocal"
    if not has_git():
        shutil.copytree(ROOT, target, ignore=_UNTRACKED)
        return target
    done = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True)
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(target, filter="data")
    return target

"""Which repository ids, revisions and file names may become parts of URLs and paths. Pure."""

from __future__ import annotations

import re
from typing import Final

MAX_NAME: Final = 96
MAX_FILE: Final = 255
_PART: Final = re.compile(r"\w(?:[\w.-]*\w)?", re.ASCII)
_REVISION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_FILE_PART: Final = re.compile(r"[^\x00-\x1f\x7f\\/:*?\"<>|]+")
# Names that Windows gives to devices, whatever their suffix.
_DEVICES: Final = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)}
)


def check_repo(repo: str) -> str:
    """`repo` when it is a Hub id `owner/name`. Raises ValueError with a sentence otherwise."""
    owner, slash, name = repo.partition("/")
    if not slash or any(not _PART.fullmatch(part) or len(part) > MAX_NAME for part in (owner, name)):
        raise ValueError(f"{repo[:120]!r} is not a repository id such as 'Qwen/Qwen3-4B-GGUF'")
    if ".." in repo or "--" in repo or name.endswith(".git"):
        raise ValueError(f"{repo[:120]!r} is not a repository id: '..', '--' and '.git' are not allowed in one")
    return repo


def check_revision(revision: str) -> str:
    """`revision` when it is a branch, tag or commit. Raises ValueError with a sentence otherwise."""
    if len(revision) > MAX_NAME or ".." in revision or not _REVISION.fullmatch(revision) or revision.endswith("/"):
        raise ValueError(f"{revision[:120]!r} is not a branch, tag or commit")
    return revision


def check_file(name: str) -> str:
    """`name` when it is a relative path that stays inside its folder on every system. Raises ValueError otherwise."""
    parts = name.split("/")
    for part in parts:
        if part in ("", ".", "..") or not _FILE_PART.fullmatch(part) or len(part.encode()) > MAX_FILE:
            raise ValueError(f"{name[:120]!r} is not a file name that can be stored safely")
        if part.split(".")[0].lower() in _DEVICES or part[-1] in " .":
            raise ValueError(f"{name[:120]!r} is not a file name that every system can store")
    if len(parts) > 8:
        raise ValueError(f"{name[:120]!r} lies in too many folders")
    return name

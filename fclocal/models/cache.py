"""The folder layout of the Hugging Face cache: where blobs, refs and snapshots lie. Imports no Hub client.

llama.cpp and huggingface_hub use the same layout, so models are shared with them in both directions.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Ending of a file that is still arriving.
PART: Final = ".fclocal.part"
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def cache_root() -> Path:
    """HF_HUB_CACHE, else HF_HOME/hub, else XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub."""
    explicit = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if explicit:
        return Path(explicit).expanduser()
    home = os.environ.get("HF_HOME")
    if home:
        return Path(home).expanduser() / "hub"
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "huggingface" / "hub"


@dataclass(frozen=True, slots=True)
class RepoFolder:
    """One repository in the cache at `path`; nothing needs to exist yet."""

    path: Path
    repo: str

    @property
    def blobs(self) -> Path:
        """Files by content hash."""
        return self.path / "blobs"

    @property
    def refs(self) -> Path:
        """Branch name -> commit."""
        return self.path / "refs"

    def snapshot(self, commit: str) -> Path:
        """File names of one commit, as links to blobs."""
        return self.path / "snapshots" / commit

    def commit_of(self, revision: str) -> str | None:
        """The commit that `revision` (a branch or a commit) stands for on this disk."""
        if _COMMIT.fullmatch(revision):
            return revision if self.snapshot(revision).is_dir() else None
        try:
            commit = (self.refs / revision).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return commit if _COMMIT.fullmatch(commit) else None

    def commits(self) -> tuple[str, ...]:
        """Every commit with a snapshot: those of refs first, then by age, newest first."""
        folder = self.path / "snapshots"
        try:
            found = sorted((entry for entry in folder.iterdir() if entry.is_dir()), key=_age)
        except OSError:
            return ()
        main = self.commit_of("main")
        names = [entry.name for entry in found if _COMMIT.fullmatch(entry.name)]
        return tuple(sorted(names, key=lambda name: name != main))


def repo_folder(repo: str, *, root: Path | None = None) -> RepoFolder:
    """The folder of the model repository `owner/name`."""
    return RepoFolder((root or cache_root()) / f"models--{repo.replace('/', '--')}", repo)


def repo_folders(*, root: Path | None = None) -> Iterator[RepoFolder]:
    """Every model repository in the cache, by name."""
    try:
        entries = sorted((root or cache_root()).iterdir())
    except OSError:
        return
    for entry in entries:
        kind, *parts = entry.name.split("--")
        if kind == "models" and len(parts) == 2 and entry.is_dir():
            yield RepoFolder(entry, "/".join(parts))


def blob_of(path: Path) -> Path:
    """The blob behind a name in a snapshot: what it links to, or the same file where links are hard."""
    real = path.resolve()
    if real.parent.name == "blobs":
        return real
    snapshots = next((parent for parent in real.parents if parent.name == "snapshots"), None)
    if snapshots is None or not real.exists() or real.stat().st_nlink < 2:
        return real
    blobs = snapshots.parent / "blobs"
    return next((blob for blob in blobs.glob("*") if blob.samefile(real)), real)


def blob_sha256(path: Path) -> str | None:
    """The sha256 that the cache claims for `path` through the name of its blob, or None."""
    name = blob_of(path).name
    return name if _SHA256.fullmatch(name) else None


def _age(entry: Path) -> float:
    try:
        return -entry.stat().st_mtime
    except OSError:
        return 0.0

"""Keep what is on disk right: verify and repair, remove, and find again what a pull left unfinished."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from fclocal.errors import DiskError, ModelBroken, ModelMissing, UsageError
from fclocal.models import cache
from fclocal.models.cache import PART
from fclocal.models.catalog import Catalog, Entry
from fclocal.models.names import CatalogName, HubRepo, LocalFile, parse_name, unknown
from fclocal.models.progress import Progress, Report
from fclocal.models.quants import by_tag
from fclocal.models.store import Installed, Store, as_variants, hash_file
from fclocal.native.gguf import read_header

Verdict: TypeAlias = Literal["right", "wrong", "recorded"]
_TEXTS: Final = {
    "right": "its bytes have the sha256 that they should have",
    "wrong": "its bytes are not what they should be",
    "recorded": "its sha256 was computed for the first time and is remembered",
}


@dataclass(frozen=True, slots=True)
class Check:
    """What verifying one file found. `expected` is None for a file whose hash nobody knew before."""

    path: Path
    sha256: str
    expected: str | None
    verdict: Verdict
    fault: str = ""

    @property
    def sentence(self) -> str:
        """The finding in words."""
        return f"{self.path.name}: {self.fault or _TEXTS[self.verdict]}."


@dataclass(frozen=True, slots=True)
class Removal:
    """What removing a model would do: `links` and `blobs` go, `freed` bytes; `shared` was put there by other tools."""

    model: Installed
    links: tuple[Path, ...]
    blobs: tuple[Path, ...]
    freed: int
    shared: bool


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A part of a file that a pull left: it is used by the next pull of the same file."""

    repo: str
    path: Path
    size: int

    def json(self) -> dict[str, object]:
        """The row for --json."""
        return {"name": self.repo, "kind": "model", "state": "partial", "size": self.size, "paths": [str(self.path)]}


def find_installed(text: str, catalog: Catalog, store: Store) -> tuple[Installed, ...]:
    """The installed models that `text` means: every quantization of a name, or the one that is named.

    Raises ModelMissing when there is none, and UsageError for a name that cannot be one.
    """
    match parse_name(text):
        case LocalFile(path, tag):
            found = tuple(model for model in store.installed() if path.absolute() in model.paths)
        case HubRepo(repo, revision, tag):
            found = store.of_repo(repo, revision=revision)
        case CatalogName(name, tag):
            entry = catalog.find(name)
            found = of_entry(entry, store) if entry else ()
            found = found or tuple(model for model in store.installed() if model.name == name)
            if not found and entry is None:
                raise unknown(name, catalog)
            if entry is not None and entry.repo is None:
                raise UsageError(f"{entry.id} comes with fclocal; it is not downloaded, verified or removed.")
    if tag and found:
        named = as_variants(found)
        return (named[by_tag(tuple(named), tag, where=f"{text} on this machine")],)
    if not found:
        raise ModelMissing(f"{text} is not on this machine.", "Try: fclocal list")
    return found


def of_entry(entry: Entry, store: Store) -> tuple[Installed, ...]:
    """Installed models of one catalog entry."""
    if entry.repo is None:
        return ()
    found = store.of_repo(entry.repo)
    return tuple(model for model in found if entry.has_file(model.path.name)) or found


def verify(model: Installed, store: Store, *, report: Report) -> tuple[Check, ...]:
    """Hash every file of `model` again and read its header. Remembers what was right."""
    return tuple(_verify_file(path, store, report) for path in model.paths)


def discard(check: Check) -> None:
    """Remove a file that was found wrong, so that a pull fetches it again. Raises DiskError."""
    with _disk_errors(check.path):
        cache.blob_of(check.path).unlink(missing_ok=True)
        check.path.unlink(missing_ok=True)


def plan_removal(model: Installed, store: Store) -> Removal:
    """What removing `model` would free: blobs that another snapshot still names stay."""
    if model.repo is None:
        return Removal(model, (), model.paths, model.size, shared=False)
    folder = cache.repo_folder(model.repo, root=store.root)
    ours = {path.absolute() for path in model.paths}
    named = (path for path in folder.path.glob("snapshots/**/*") if path.absolute() not in ours and path.is_file())
    kept = {cache.blob_of(path) for path in named}
    blobs = tuple(blob for blob in map(cache.blob_of, model.paths) if blob not in kept)
    linked = tuple(blob for blob in blobs if folder.path.resolve() in blob.parents)
    return Removal(model, model.paths, linked, sum(_size(blob) for blob in linked), shared=not model.ours)


def remove(removal: Removal, store: Store) -> int:
    """Carry out a removal and give the bytes freed. Raises DiskError."""
    model = removal.model
    base = cache.repo_folder(model.repo, root=store.root).snapshot(model.commit or "") if model.repo else None
    for path in model.paths:
        name = path.relative_to(base).as_posix() if base else None
        store.forget(path, repo=model.repo, file=name, blob=cache.blob_of(path) in removal.blobs)
    with _disk_errors(model.path):
        for path in (*removal.links, *removal.blobs):
            path.unlink(missing_ok=True)
    if model.repo is None:
        _prune(model.path.parent, store.own_folder)
        return removal.freed
    folder = cache.repo_folder(model.repo, root=store.root)
    for path in removal.links:
        _prune(path.parent, folder.path)
    freed = removal.freed
    if not any(folder.path.glob("snapshots/**/*.*")):
        for part in folder.blobs.glob(f"*{PART}"):
            freed += _size(part)
            part.unlink(missing_ok=True)
        for ref in list(folder.refs.glob("**/*")):
            if ref.is_file():
                ref.unlink(missing_ok=True)
                _prune(ref.parent, folder.path)
        _prune(folder.blobs, folder.path)
        with suppress(OSError):
            folder.path.rmdir()
    return freed


def unfinished(store: Store) -> tuple[Unfinished, ...]:
    """Every partial download in the cache."""
    found: list[Unfinished] = []
    for folder in cache.repo_folders(root=store.root):
        found += [Unfinished(folder.repo, part, _size(part)) for part in sorted(folder.blobs.glob(f"*{PART}"))]
    return tuple(found)


def clear_unfinished(repo: str, store: Store) -> int:
    """Remove the partial downloads of `repo` and give the bytes freed."""
    freed = 0
    for part in unfinished(store):
        if part.repo == repo:
            part.path.unlink(missing_ok=True)
            freed += part.size
    return freed


def _verify_file(path: Path, store: Store, report: Report) -> Check:
    expected = cache.blob_sha256(path) or store.known_sha256(path)
    try:
        digest = hash_file(path, progress=lambda done, total: report(Progress(path.name, "checking", done, total)))
        fault = _header_fault(path)
    except OSError as error:
        return Check(path, "", expected, "wrong", f"cannot be read ({error.strerror or error})")
    if fault or (expected and digest != expected):
        store.forget(path)
        return Check(path, digest, expected, "wrong", fault)
    store.mark_verified(path, digest)
    return Check(path, digest, expected, "right" if expected else "recorded")


def _header_fault(path: Path) -> str:
    try:
        read_header(path)
    except ModelBroken as error:
        return error.sentence.removeprefix(f"{path.name} ").rstrip(".")
    return ""


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DiskError(f"{path} cannot be removed: {error.strerror or error}.", "Is a program using it?") from None


def _prune(folder: Path, top: Path) -> None:
    """Remove empty folders from `folder` up to, but not including, `top`."""
    while folder != top and top in folder.parents:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0

"""What is on this disk: the installed models, and an index of what was hashed, pulled and used.

The files themselves are the truth; the index only remembers. It is SQLite with a rollback journal, so a kill at any
moment leaves the last whole state, and a lost index costs a re-hash and nothing else.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fclocal import paths
from fclocal.errors import DiskError, ModelMissing, NewerFile
from fclocal.models import cache
from fclocal.models.quants import RemoteFile, Variant, is_model_file, variants

_CHUNK: Final = 4 << 20
# Raised with any change of the tables: an index of a later format is neither read nor written.
FORMAT: Final = 0
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS files(
  path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime INTEGER NOT NULL, sha256 TEXT NOT NULL, verified TEXT);
CREATE TABLE IF NOT EXISTS used(path TEXT PRIMARY KEY, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pulled(
  repo TEXT NOT NULL, commit_id TEXT NOT NULL, file TEXT NOT NULL, at TEXT NOT NULL,
  PRIMARY KEY(repo, commit_id, file));
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """One model on disk. `paths` are its shards in order; `repo` is None for one that was imported.

    `verified` is when its hash was last found right (UTC, ISO 8601) or None; `used` when it was last loaded. `ours`
    says that fclocal put it there.
    """

    name: str
    repo: str | None
    commit: str | None
    quant: str
    paths: tuple[Path, ...]
    size: int
    verified: str | None
    used: str | None
    ours: bool

    @property
    def path(self) -> Path:
        """The file to load: the first shard stands for all."""
        return self.paths[0]


class Store:
    """Installed models under the Hub cache `root` and `data`/models, with the index at `data`/models.sqlite."""

    def __init__(self, *, root: Path | None = None, data: Path | None = None) -> None:
        self.root = root or cache.cache_root()
        self.data = data or paths.data_folder()
        self.index = self.data / "models.sqlite"

    @property
    def own_folder(self) -> Path:
        """Where converted models are kept."""
        return self.data / "models"

    def check_index(self) -> None:
        """Raise NewerFile when the index is of a later format. Changes nothing; a damaged one heals by itself."""
        if self.index.exists():
            with (
                suppress(sqlite3.Error),
                closing(sqlite3.connect(f"{self.index.absolute().as_uri()}?mode=ro", uri=True)) as database,
            ):
                self._refuse_newer(database)

    def installed(self) -> tuple[Installed, ...]:
        """Every whole model on disk: those of the Hub cache, then the imported ones."""
        memory = self._memory()
        return (*self._cached(memory), *self._imported(memory))

    def of_repo(self, repo: str, *, revision: str | None = None) -> tuple[Installed, ...]:
        """Models of `repo` in the cache, at `revision` or at any commit (that of main first)."""
        folder = cache.repo_folder(repo, root=self.root)
        commits = folder.commits() if revision is None else tuple(filter(None, [folder.commit_of(revision)]))
        memory = self._memory()
        return tuple(model for commit in commits for model in _snapshot(folder, commit, memory))

    def known_sha256(self, path: Path) -> str | None:
        """The hash of `path` if it was computed before and the file has not changed since."""
        return self._remembered(path)[0]

    def file_sha256(self, path: Path, *, progress: Callable[[int, int], None] | None = None) -> str:
        """The sha256 of `path` in hex, remembered by path, size and time of change.

        `progress(done, total)` is in bytes; the hash takes about a second for 1 to 2 GB. Raises ModelMissing.
        """
        known = self.known_sha256(path)
        if known:
            return known
        try:
            before = path.stat()
            digest = hash_file(path, progress=progress)
        except OSError as error:
            raise ModelMissing(f"{path} cannot be read: {error.strerror or error}.") from None
        after = path.stat()
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
            self._remember(path, digest, verified=None)
        return digest

    def mark_verified(self, path: Path, sha256: str) -> None:
        """Remember that `path` was found to have `sha256` just now."""
        self._remember(path, sha256, verified=now())

    def mark_used(self, path: Path) -> None:
        """Remember that `path` was loaded just now."""
        self._write("INSERT OR REPLACE INTO used VALUES(?, ?)", (str(path), now()))

    def mark_pulled(self, repo: str, commit: str, file: str) -> None:
        """Remember that fclocal downloaded `file`."""
        self._write("INSERT OR REPLACE INTO pulled VALUES(?, ?, ?, ?)", (repo, commit, file, now()))

    def forget(self, path: Path, *, repo: str | None = None, file: str | None = None, blob: bool = True) -> None:
        """Remove what the index says about `path`; with `blob` also the hash of the bytes that it names."""
        if blob:
            self._write("DELETE FROM files WHERE path = ?", (str(cache.blob_of(path)),))
        self._write("DELETE FROM used WHERE path = ?", (str(path),))
        if repo and file:
            self._write("DELETE FROM pulled WHERE repo = ? AND file = ?", (repo, file))

    def _cached(self, memory: _Memory) -> Iterator[Installed]:
        for folder in cache.repo_folders(root=self.root):
            for commit in folder.commits():
                yield from _snapshot(folder, commit, memory)

    def _imported(self, memory: _Memory) -> Iterator[Installed]:
        found = sorted(self.own_folder.glob("**/*.gguf")) if self.own_folder.is_dir() else []
        for variant in variants(_remote(found, self.own_folder)):
            files = tuple(self.own_folder / file.name for file in variant.files)
            name = Path(variant.name).parts[0].removesuffix(".gguf")
            yield memory.describe(name, None, None, variant, files, ours=True)

    def _remembered(self, path: Path) -> tuple[str | None, str | None]:
        try:
            real = cache.blob_of(path)
            status = real.stat()
        except OSError:
            return None, None
        query = "SELECT sha256, verified FROM files WHERE path = ? AND size = ? AND mtime = ?"
        rows = self._read(query, (str(real), status.st_size, status.st_mtime_ns))
        return (str(rows[0][0]), str(rows[0][1]) if rows[0][1] else None) if rows else (None, None)

    def _remember(self, path: Path, sha256: str, *, verified: str | None) -> None:
        real = cache.blob_of(path)
        status = real.stat()
        row = (str(real), status.st_size, status.st_mtime_ns, sha256, verified)
        self._write("INSERT OR REPLACE INTO files VALUES(?, ?, ?, ?, ?)", row)

    def _memory(self) -> _Memory:
        files = self._read("SELECT path, size, mtime, verified FROM files WHERE verified IS NOT NULL", ())
        used = self._read("SELECT path, at FROM used", ())
        pulled = self._read("SELECT repo, file FROM pulled", ())
        return _Memory(
            {(str(path), int(str(size)), int(str(mtime))): str(at) for path, size, mtime, at in files},
            {str(path): str(at) for path, at in used},
            {(str(repo), str(file)) for repo, file in pulled},
        )

    def _read(self, query: str, values: tuple[object, ...]) -> list[tuple[object, ...]]:
        if not self.index.exists():
            return []
        try:
            with closing(self._connect()) as database:
                return list(database.execute(query, values))
        except sqlite3.Error:
            return []

    def _write(self, query: str, values: tuple[object, ...]) -> None:
        """Remember something; a folder that cannot be written costs the memory, not the command."""
        with suppress(sqlite3.Error, DiskError):
            paths.private_folder(self.data)
            with closing(self._connect()) as database, database:
                database.execute(query, values)

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.index, timeout=5.0)
        try:
            self._refuse_newer(database)
            database.executescript(_TABLES)
        except NewerFile:
            database.close()
            raise
        except sqlite3.DatabaseError as error:
            database.close()
            if "not a database" not in str(error) and "malformed" not in str(error):
                raise
            self.index.replace(self.index.with_suffix(".broken"))
            database = sqlite3.connect(self.index, timeout=5.0)
            database.executescript(_TABLES)
        return database

    def _refuse_newer(self, database: sqlite3.Connection) -> None:
        version = int(database.execute("PRAGMA user_version").fetchone()[0])
        if version > FORMAT:
            instead = "move the index away: it is made again, and models are hashed once more."
            raise NewerFile(f"The model index {self.index}", found=version, known=FORMAT, instead=instead)


@dataclass(frozen=True, slots=True)
class _Memory:
    """The index, read once for a listing."""

    verified: dict[tuple[str, int, int], str]
    used: dict[str, str]
    pulled: set[tuple[str, str]]

    def describe(
        self, name: str, repo: str | None, commit: str | None, variant: Variant, files: tuple[Path, ...], *, ours: bool
    ) -> Installed:
        """One listed model; verified only when every shard is, as old as the oldest check."""
        stamps = [self.verified.get(_identity(file)) for file in files]
        whole = [stamp for stamp in stamps if stamp]
        verified = min(whole) if len(whole) == len(stamps) else None
        used = self.used.get(str(files[0]))
        return Installed(name, repo, commit, variant.quant, files, variant.size, verified, used, ours)


def as_variants(found: Sequence[Installed]) -> dict[Variant, Installed]:
    """Installed models under the values that tags are looked up in."""
    return {Variant(model.quant, (RemoteFile(model.path.name, model.size),)): model for model in found}


def hash_file(path: Path, *, progress: Callable[[int, int], None] | None = None) -> str:
    """The sha256 of a file in hex. `progress(done, total)` is called about every 4 MB."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_CHUNK))
    total, done = path.stat().st_size, 0
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            digest.update(buffer[:size])
            done += size
            if progress:
                progress(done, total)
    return digest.hexdigest()


def now() -> str:
    """This second in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _snapshot(folder: cache.RepoFolder, commit: str, memory: _Memory) -> Iterator[Installed]:
    base = folder.snapshot(commit)
    found = sorted(path for path in base.glob("**/*.gguf") if is_model_file(path.name))
    for variant in variants(_remote(found, base)):
        files = tuple(base / file.name for file in variant.files)
        ours = all((folder.repo, file.name) in memory.pulled for file in variant.files)
        yield memory.describe(folder.repo, folder.repo, commit, variant, files, ours=ours)


def _remote(found: list[Path], base: Path) -> Iterator[RemoteFile]:
    for path in found:
        with suppress(OSError):
            yield RemoteFile(path.relative_to(base).as_posix(), path.stat().st_size)


def _identity(path: Path) -> tuple[str, int, int]:
    try:
        real = cache.blob_of(path)
        status = real.stat()
    except OSError:
        return ("", 0, 0)
    return (str(real), status.st_size, status.st_mtime_ns)

"""Get one file into the cache, whole and verified, however often the line breaks. Knows bytes and hashes, no models.

Every process writes to a part file of its own name: it claims what an earlier attempt left by renaming it. Locks only
save work; two writers can never spoil each other's file, even where locks do nothing (some network disks). What is on
the disk is hashed before it is moved to its final name.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from filelock import FileLock, Timeout

from fclocal.errors import DiskError, FclocalError, ModelBroken, NetworkError
from fclocal.models.cache import PART, RepoFolder
from fclocal.models.hub import Body, Hub, Interrupted, RangeRefused
from fclocal.models.progress import Progress, Report
from fclocal.models.quants import RemoteFile

PATIENCE: Final = 6
_ROUNDS: Final = 12
# Temporary links and refs live for a moment; after an hour (in seconds) nobody is about to rename them.
_STALE: Final = 3600.0
_CHUNK: Final = 4 << 20
_SPACE_MARGIN: Final = 1.05


@dataclass(frozen=True, slots=True)
class Fetch:
    """One file to get: `commit` pins its content; `report` may raise to stop, and what has arrived is kept.

    `sleep(seconds)` waits between attempts. `trusted(path, hash)` says that a file already there was verified before.
    """

    hub: Hub
    folder: RepoFolder
    commit: str
    file: RemoteFile
    report: Report
    sleep: Callable[[float], None] = time.sleep
    trusted: Callable[[Path, str], bool] = lambda path, digest: False

    @property
    def hash_name(self) -> str:
        """The name of its blob: the hash that the Hub told."""
        name = self.file.sha256 or self.file.oid
        if name is None:
            raise NetworkError(f"The Hub gives no hash for {self.file.name}, so it cannot be verified.")
        return name

    @property
    def blob(self) -> Path:
        """Where the verified file goes."""
        return self.folder.blobs / self.hash_name


def fetch(job: Fetch) -> Path:
    """Download `job.file` unless it is there, verify it and give its blob.

    Raises NetworkError when the line stays broken, ModelBroken when what the server sends has another hash, DiskError,
    Refused and ModelMissing. Whatever stops it, what has arrived is kept for the next attempt, except on a full disk.
    """
    with _disk_errors(job.folder.path):
        job.folder.blobs.mkdir(parents=True, exist_ok=True)
        with _locked(job):
            for attempt in range(_ROUNDS):
                # A later round means that locks do nothing here: others' parts are left alone from then on.
                if attempt == 0:
                    reclaim(job.folder)
                if _is_there(job):
                    return job.blob
                part = _claim(job, adopt=attempt == 0)
                try:
                    return _finish(job, part)
                except FileNotFoundError:
                    job.sleep(0.1 * attempt)
                except OSError as error:
                    if error.errno in (errno.ENOSPC, errno.EDQUOT):
                        part.unlink(missing_ok=True)
                    raise
    raise DiskError(f"Another program keeps taking {job.file.name} away.", "Let one download finish first.")


def reclaim(folder: RepoFolder) -> int:
    """Remove parts that are of no use any more and give their bytes: the file is there, or a longer part exists."""
    freed = 0
    parts: dict[str, list[Path]] = {}
    for part in folder.blobs.glob(f"*{PART}"):
        parts.setdefault(part.name.split(".")[0], []).append(part)
    for name, found in parts.items():
        found.sort(key=_size, reverse=True)
        for part in found if (folder.blobs / name).exists() else found[1:]:
            freed += _size(part)
            part.unlink(missing_ok=True)
    for leftover in (*folder.path.glob("refs/**/*.fclocal.tmp"), *folder.path.glob("snapshots/**/*.fclocal.tmp")):
        with suppress(OSError):
            if time.time() - leftover.lstat().st_mtime > _STALE:
                leftover.unlink()
    return freed


def left_over(folder: RepoFolder, file: RemoteFile) -> int:
    """Bytes of `file` that an earlier attempt has left."""
    name = file.sha256 or file.oid or ""
    return max((_size(part) for part in folder.blobs.glob(f"{name}.*{PART}")), default=0) if name else 0


def require_space(folder: Path, size: int, *, what: str) -> None:
    """Raise DiskError unless the disk of `folder` has room for `size` more bytes and 5% to spare."""
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(place).free
    if size * _SPACE_MARGIN > free:
        raise DiskError(
            f"{what} needs {size * _SPACE_MARGIN / 1e9:.2f} GB and {place} has {free / 1e9:.2f} GB free.",
            "Make room, or set HF_HOME to a folder on another disk.",
        )


def place(folder: RepoFolder, commit: str, name: str, blob: Path, *, revision: str) -> Path:
    """Give `blob` its name in the snapshot of `commit`, and point `revision` at that commit."""
    target = folder.snapshot(commit) / name
    with _disk_errors(folder.path):
        target.parent.mkdir(parents=True, exist_ok=True)
        if not (target.exists() and target.samefile(blob)):
            beside = target.with_name(f"{secrets.token_hex(4)}.fclocal.tmp")
            _link(blob, beside)
            beside.replace(target)
        if revision != commit:
            ref = folder.refs / revision
            ref.parent.mkdir(parents=True, exist_ok=True)
            beside = ref.with_name(f"{secrets.token_hex(4)}.fclocal.tmp")
            beside.write_text(commit, "ascii")
            beside.replace(ref)
    return target


def _finish(job: Fetch, part: Path) -> Path:
    """Fill `part` to the end and move it to its final name if its hash is right."""
    kept = _size(part)
    try:
        digest = _complete(job, part)
    except ModelBroken:
        part.unlink(missing_ok=True)
        raise
    finally:
        if not _size(part):
            part.unlink(missing_ok=True)
    if digest != job.hash_name and kept:
        # What an earlier attempt left may have been bad: once more from the first byte.
        part.unlink()
        digest = _complete(job, part)
    if digest != job.hash_name:
        part.unlink()
        raise ModelBroken(
            f"{job.file.name} arrived with other bytes than the Hub declares (hash {digest[:12]}, not "
            f"{job.hash_name[:12]}).",
            "It was removed. Try again later or from another network.",
        )
    part.replace(job.blob)
    return job.blob


def _complete(job: Fetch, part: Path) -> str:
    """Bring `part` to its full size through any number of broken connections; give its hash as it lies on the disk."""
    with part.open("r+b" if part.exists() else "xb") as file:
        line = _Line(job, file, at=_size(part))
        failures = 0
        while line.at < job.file.size:
            before = line.at
            try:
                line.receive()
            except RangeRefused:
                line.restart()
                failures += 1
            except Interrupted as broken:
                failures = 0 if line.at - before >= 1 << 16 else failures + 1
                if failures >= PATIENCE:
                    raise
                job.sleep(max(broken.wait, 0.25 * 2 ** min(failures, 4) if failures else 0.1))
            if failures >= PATIENCE:
                raise NetworkError(f"The server keeps refusing to send {job.file.name}.", "Try again later.")
        file.flush()
        os.fsync(file.fileno())
    return _digest(job, part)


class _Line:
    """One download into one open file; `at` is the next byte to write.

    The file stays open and is never shortened: where locks do nothing, another process may have taken it over, and then
    both write the same bytes to the same places.
    """

    def __init__(self, job: Fetch, file: BinaryIO, *, at: int) -> None:
        self.at = at
        self._job = job
        self._file = file
        self._etag: str | None = None
        self._fetched = 0

    def restart(self) -> None:
        self.at, self._etag = 0, None

    def receive(self) -> None:
        """Write what one connection brings."""
        file = self._job.file
        with self._job.hub.stream(
            self._job.folder.repo, self._job.commit, file.name, start=self.at, etag=self._etag
        ) as body:
            self._accept(body)
            self._file.seek(self.at)
            try:
                for chunk in body.chunks:
                    self._write(chunk)
            finally:
                self._file.flush()
        if self.at < file.size:
            raise Interrupted(f"The connection ended {file.size - self.at:,} bytes before the end of {file.name}.")

    def _accept(self, body: Body) -> None:
        name, size = self._job.file.name, self._job.file.size
        total = body.total
        if total is not None and total != size:
            raise NetworkError(
                f"The server sends {total:,} bytes for {name}, but the Hub declares {size:,}.", "Try again later."
            )
        if body.start > self.at or (self._etag and body.etag != self._etag and body.start):
            self.restart()
            raise Interrupted(f"{name} changed on the server while it was arriving.")
        self.at, self._etag = body.start, body.etag

    def _write(self, chunk: bytes) -> None:
        name, size = self._job.file.name, self._job.file.size
        if self.at == 0 and name.endswith(".gguf") and len(chunk) >= 8:
            _refuse_impostor(chunk, name)
        if self.at + len(chunk) > size:
            raise NetworkError(f"The server sends more than the {size:,} bytes of {name}.", "Try again later.")
        self._file.write(chunk)
        self.at += len(chunk)
        self._fetched += len(chunk)
        self._job.report(Progress(name, "downloading", self.at, size, self._fetched))


def _refuse_impostor(chunk: bytes, name: str) -> None:
    if chunk[:4] != b"GGUF":
        raise ModelBroken(f"{name} is not a GGUF file: it begins with {chunk[:4]!r}.", "Nothing was kept.")
    if chunk[4:8] == b"\x01\x00\x00\x00":
        raise ModelBroken(
            f"{name} is GGUF version 1 (August 2023), which llama.cpp no longer reads.", "Nothing was kept."
        )


def _is_there(job: Fetch) -> bool:
    """Whether the blob is there and right; a wrong one is removed."""
    if _size(job.blob) != job.file.size or not job.blob.exists():
        job.blob.unlink(missing_ok=True)
        return False
    if not job.trusted(job.blob, job.hash_name) and _digest(job, job.blob) != job.hash_name:
        job.blob.unlink()
        return False
    job.report(Progress(job.file.name, "there", job.file.size, job.file.size))
    return True


def _claim(job: Fetch, *, adopt: bool) -> Path:
    """Our own part file: what an earlier attempt left, renamed, or a name that nothing has yet."""
    ours = job.folder.blobs / f"{job.hash_name}.{secrets.token_hex(4)}{PART}"
    for found in job.folder.blobs.glob(f"{job.hash_name}.*{PART}") if adopt else ():
        with suppress(FileNotFoundError):
            found.replace(ours)
            if _size(ours) > job.file.size:
                ours.unlink()
            break
    require_space(job.folder.path, job.file.size - _size(ours), what=job.file.name)
    return ours


def _digest(job: Fetch, path: Path) -> str:
    """The hash of the file in the kind that the Hub told: sha256, or git's for small files."""
    size = path.stat().st_size
    small = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    digest = hashlib.sha256() if job.file.sha256 else small
    done = 0
    buffer = memoryview(bytearray(_CHUNK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            done += count
            job.report(Progress(job.file.name, "checking", done, size))
    return digest.hexdigest()


@contextmanager
def _locked(job: Fetch) -> Iterator[None]:
    """One download of a file at a time, in step with huggingface_hub, which takes the same lock."""
    folder = job.folder.path.parent / ".locks" / job.folder.path.name
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{job.hash_name}.lock")
    while True:
        try:
            lock.acquire(timeout=0.5, poll_interval=0.05)
        except Timeout:
            job.report(Progress(job.file.name, "waiting", 0, job.file.size))
        except NotImplementedError:
            break
        else:
            break
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except FclocalError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskError(
                f"The disk of {folder} is full.", "Make room and try again; the partial file was removed."
            ) from None
        raise DiskError(
            f"Cannot write to {folder}: {error.strerror or error}.", "Check its owner, or set HF_HOME."
        ) from None


def _link(blob: Path, name: Path) -> None:
    """A relative link to `blob` at `name`; a hard link or a copy where the system allows no symlinks."""
    try:
        name.symlink_to(os.path.relpath(blob, name.parent))
    except OSError:
        try:
            name.hardlink_to(blob)
        except OSError:
            shutil.copyfile(blob, name)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0

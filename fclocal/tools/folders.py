"""Open files strictly inside a few folders. No path leaves them: not by .., links, other devices' files or a race.

Where the platform has `dir_fd`, every step from the root is opened relative to the last one without following links, so
that nothing can be swapped in between. Elsewhere the path is resolved, checked, opened, and checked again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fclocal import paths

ANCHORED = os.open in os.supports_dir_fd and os.unlink in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")

WINDOWS = os.name == "nt"
_FORBIDDEN = frozenset(chr(code) for code in (*range(32), 127)) | frozenset('<>:"|?*' if WINDOWS else "")
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789")}
)


class FileRefused(Exception):
    """Why a file is not touched, as a sentence that names it as the caller did."""


@dataclass(frozen=True, slots=True)
class Place:
    """An open folder inside a root, and a name in it ("" is the folder itself). `descriptor` -1: not anchored."""

    folder: Path
    descriptor: int
    name: str

    def open(self, flags: int, mode: int = 0o600) -> int:
        """Open the named file without following a link. Raises OSError."""
        flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        if self.descriptor >= 0:
            return os.open(self.name, flags, mode, dir_fd=self.descriptor)
        target = self.folder / self.name
        if not flags & os.O_EXCL and _is_link(target):
            raise OSError(errno.ELOOP, "link")
        descriptor = os.open(target, flags, mode)
        if _is_link(target) or not os.path.samestat(os.fstat(descriptor), target.stat()):
            os.close(descriptor)
            raise OSError(errno.ELOOP, "link")
        return descriptor

    def status(self) -> os.stat_result:
        """What the name is, not following a link. Raises OSError."""
        if self.descriptor >= 0:
            return os.stat(self.name, dir_fd=self.descriptor, follow_symlinks=False)
        return (self.folder / self.name).lstat()

    def unlink(self) -> None:
        """Remove the name. Raises OSError."""
        if self.descriptor >= 0:
            os.unlink(self.name, dir_fd=self.descriptor)
        else:
            (self.folder / self.name).unlink()

    def entries(self) -> list[tuple[str, bool]]:
        """Names in the folder and whether each is a folder; links are left out."""
        with os.scandir(self.descriptor if self.descriptor >= 0 else self.folder) as found:
            return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found if not entry.is_symlink()]


class Folders:
    """The folders that may be touched; none means the current one. `anchored=False` uses the way without `dir_fd`."""

    def __init__(self, roots: Sequence[Path] = (), *, anchored: bool = ANCHORED) -> None:
        self._roots = tuple(root.expanduser() for root in roots)
        self._anchored = anchored

    @property
    def roots(self) -> tuple[Path, ...]:
        """Absolute paths, resolved; the first one is where relative names start."""
        return tuple(Path(os.path.realpath(root)) for root in self._roots or (Path.cwd(),))

    @contextmanager
    def folder(self, path: str) -> Iterator[Place]:
        """The folder at `path`, open. Raises FileRefused."""
        root, parts = self._inside(path)
        with self._walk(root, parts, path) as (folder, descriptor):
            yield Place(folder, descriptor, "")

    @contextmanager
    def file(self, path: str) -> Iterator[Place]:
        """The name at `path` in its open folder; the file itself need not exist. Raises FileRefused."""
        root, parts = self._inside(path)
        if not parts:
            raise FileRefused(f"{path!r} is a folder, not a file.")
        with self._walk(root, parts[:-1], path) as (folder, descriptor):
            yield Place(folder, descriptor, parts[-1])

    def _inside(self, path: str) -> tuple[Path, tuple[str, ...]]:
        """The root and the names from it to `path`. Purely about the text."""
        for given, root in zip(self._roots or (Path.cwd(),), self.roots, strict=True):
            parts = _parts_inside(path, (root, given.absolute()))
            if parts is not None:
                _refuse_names(path, parts)
                return root, parts
        allowed = ", ".join(map(str, self.roots))
        raise FileRefused(f"{path!r} is outside the folders that may be touched ({allowed}).")

    @contextmanager
    def _walk(self, root: Path, parts: Sequence[str], path: str) -> Iterator[tuple[Path, int]]:
        with named_errors(path):
            descriptor = _descend(root, parts, path) if self._anchored else _recheck(root, parts, path)
        try:
            yield root.joinpath(*parts), descriptor
        finally:
            if descriptor >= 0:
                os.close(descriptor)


@contextmanager
def named_errors(path: str) -> Iterator[None]:
    """Turn an OSError into FileRefused that names `path`."""
    try:
        yield
    except OSError as error:
        raise FileRefused(_sentence(path, error)) from None


def _sentence(path: str, error: OSError) -> str:
    match error.errno:
        case errno.ENOENT:
            return f"There is no {path!r}."
        case errno.ELOOP | errno.EMLINK:
            return f"{path!r} leads through a link, which is not followed."
        case errno.ENOTDIR:
            return f"{path!r} leads through something that is no folder, or through a link, which is not followed."
        case errno.EISDIR:
            return f"{path!r} is a folder, not a file."
        case _:
            return f"{path!r} cannot be used: {(error.strerror or 'unknown error').lower()}."


def _parts_inside(path: str, roots: Sequence[Path]) -> tuple[str, ...] | None:
    """The names from one of the spellings of a root to `path`, or None when it is elsewhere. Leaves `..` in."""
    text = path.strip().replace("\\", "/") if WINDOWS else path.strip()
    if text == "~" or text.startswith("~/"):
        text = f"{Path.home()}{text[1:]}"
    given = Path(text)
    if not given.is_absolute():
        return None if given.drive else tuple(part for part in text.split("/") if part not in ("", "."))
    return next((given.relative_to(root).parts for root in roots if given.is_relative_to(root)), None)


def _refuse_names(path: str, parts: Sequence[str]) -> None:
    for part in parts:
        if part == "..":
            raise FileRefused(f"{path!r} has '..' in it, which is not followed.")
        if part.startswith("."):
            raise FileRefused(f"{path!r} is hidden (a name with a dot in front), so it is not touched.")
        if len(part.encode("utf-8", "surrogatepass")) > 255 or _FORBIDDEN & set(part) or "\\" in part:
            raise FileRefused(f"{path!r} is not a usable name for a file.")
        if WINDOWS and (part.split(".")[0].rstrip(" ").lower() in _DEVICES or part != part.rstrip(". ")):
            raise FileRefused(f"{path!r} is not a usable name for a file.")


def _own_folders() -> list[os.stat_result]:
    """fclocal's own folders that exist."""
    found: list[os.stat_result] = []
    for folder in (paths.config_folder(), paths.data_folder(), paths.cache_folder()):
        with contextlib.suppress(OSError):
            found.append(folder.stat())
    return found


def _refuse_own(status: os.stat_result, own: Sequence[os.stat_result], path: str) -> None:
    if any(os.path.samestat(status, other) for other in own):
        raise FileRefused(f"{path!r} belongs to fclocal itself and is not touched.")


def _descend(root: Path, parts: Sequence[str], path: str) -> int:
    """A descriptor of the folder, opened step by step without following a link."""
    own = _own_folders()
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(root, flags)
    try:
        _refuse_own(os.fstat(descriptor), own, path)
        for part in parts:
            below = os.open(part, flags, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
            _refuse_own(os.fstat(descriptor), own, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _recheck(root: Path, parts: Sequence[str], path: str) -> int:
    """Check every step for links; -1 stands for the missing descriptor."""
    own = _own_folders()
    folder = root
    for part in ("", *parts):
        folder = folder / part
        status = folder.lstat()
        if _is_link(folder) or Path(os.path.realpath(folder)) != folder:
            raise OSError(errno.ELOOP, "link")
        if not stat.S_ISDIR(status.st_mode):
            raise OSError(errno.ENOTDIR, "no folder")
        _refuse_own(status, own, path)
    return -1


def _is_link(path: Path) -> bool:
    """Symlinks, and on Windows also junctions and other reparse points."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISLNK(status.st_mode) or bool(getattr(status, "st_file_attributes", 0) & 0x400)

"""The file functions: list, read, save, delete, inside the folders that may be touched. Knows sizes and texts."""

from __future__ import annotations

import codecs
import errno
import os
import stat
from collections.abc import Sequence

from fclocal.functions import Json, JsonObject
from fclocal.tools.described import described
from fclocal.tools.folders import FileRefused, Folders, Place, named_errors

__all__ = ["FileRefused", "Folders", "delete_files", "list_files", "read_file", "save_chat"]

MAX_READ = 10 * 2**20
MAX_SAVE = 2**20
MAX_LISTED = 1000
MAX_DELETED = 100
MAX_COPIES = 1000
_ENDINGS = (".txt", ".md", ".json", ".csv", ".log", ".html")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def list_files(folders: Folders, folder: str) -> list[str]:
    """Names in `folder`, folders with a slash, sorted; without hidden ones and links. At most MAX_LISTED.

    Raises FileRefused.
    """
    with folders.folder(folder) as place, named_errors(folder):
        names = [f"{name}/" if is_folder else name for name, is_folder in place.entries() if not name.startswith(".")]
    names.sort(key=str.casefold)
    left_out = len(names) - MAX_LISTED
    return names if left_out <= 0 else [*names[:MAX_LISTED], f"... and {left_out:,} more"]


def read_file(folders: Folders, path: str) -> str:
    """The text at `path`. Raises FileRefused when it is no text, or larger than MAX_READ bytes."""
    with folders.file(path) as place:
        content = _content(place, path)
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise FileRefused(f"{path!r} is no text: {described(content)}.")
    return text


def _content(place: Place, path: str) -> bytes:
    with named_errors(path):
        # O_NONBLOCK: opening a pipe without a writer would wait for ever.
        descriptor = place.open(os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise FileRefused(f"{path!r} is a folder. Use list_files.")
        if not stat.S_ISREG(status.st_mode):
            raise FileRefused(f"{path!r} is not a regular file.")
        with named_errors(path), os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(MAX_READ + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_READ:
        raise FileRefused(f"{path!r} has {status.st_size:,} bytes; at most {MAX_READ:,} can be read.")
    return content


def save_chat(folders: Folders, name: str, description: str, content: str) -> str:
    """Write the text to a new file and return its path from the root; never over another file: a number is added.

    Raises FileRefused.
    """
    text = f"{description.strip()}\n\n{content}" if description.strip() else content
    encoded = (text if text.endswith("\n") else f"{text}\n").encode("utf-8", "replace")
    if len(encoded) > MAX_SAVE:
        raise FileRefused(f"The text has {len(encoded):,} bytes; at most {MAX_SAVE:,} can be saved.")
    stem, ending = _split(name)
    for number in range(1, MAX_COPIES + 1):
        path = f"{stem}{ending}" if number == 1 else f"{stem}-{number}{ending}"
        if _write_new(folders, path, encoded):
            return path
    raise FileRefused(f"There are already {MAX_COPIES:,} files named like {name!r}.")


def _split(name: str) -> tuple[str, str]:
    """The name without its ending, and the ending to use."""
    name = name.strip()
    ending = next((ending for ending in _ENDINGS if name.lower().endswith(ending)), "")
    return (name[: -len(ending)], name[-len(ending) :]) if ending else (name, ".txt")


def _write_new(folders: Folders, path: str, content: bytes) -> bool:
    """Create `path` with `content`; False when something is there already. A failed write leaves nothing behind."""
    if path.endswith("/.txt") or path == ".txt":
        raise FileRefused("The file needs a name.")
    with folders.file(path) as place, named_errors(path):
        try:
            descriptor = place.open(os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            return False
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
        except OSError:
            place.unlink()
            raise
    return True


def delete_files(folders: Folders, names: Sequence[str]) -> JsonObject:
    """Delete regular files and say which went: {"deleted": [...], "not_deleted": {name: why}}, the latter only if any.

    Raises FileRefused when none could be deleted, or for more than MAX_DELETED names.
    """
    if len(names) > MAX_DELETED:
        raise FileRefused(f"{len(names):,} files at once are too many; at most {MAX_DELETED}. Nothing was deleted.")
    deleted: list[Json] = []
    kept: dict[str, Json] = {}
    for name in dict.fromkeys(names):
        try:
            _delete(folders, name)
        except FileRefused as refused:
            kept[name] = str(refused)
        else:
            deleted.append(name)
    if not deleted:
        raise FileRefused(f"Nothing was deleted. {' '.join(map(str, kept.values()))}".strip())
    return {"deleted": deleted, "not_deleted": kept} if kept else {"deleted": deleted}


def _delete(folders: Folders, path: str) -> None:
    with folders.file(path) as place, named_errors(path):
        mode = place.status().st_mode
        if stat.S_ISLNK(mode):
            raise OSError(errno.ELOOP, "link")
        if not stat.S_ISREG(mode):
            raise FileRefused(f"{path!r} is not a file.")
        place.unlink()

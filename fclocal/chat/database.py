"""The one SQLite file of the stored sessions: opened privately, migrated, written by one process at a time.

Knows the schema's versions and how SQLite fails; knows no conversations.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import filelock

from fclocal.chat.migrations import APPLICATION, MIGRATIONS
from fclocal.errors import DiskError, NewerFile
from fclocal.paths import private_folder

WAIT_SECONDS = 10.0
CHECKPOINT_BYTES = 4 * 2**20
_OWN_AND_READ = 0o077
# One statement, so that a file that another process is making just now is seen before or after, not between.
_STATE = """SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
    FROM pragma_application_id, pragma_user_version"""
_MESSAGES = {
    sqlite3.SQLITE_FULL: ("No space is left for the sessions file {path}.", "Free some space on its disk."),
    sqlite3.SQLITE_BUSY: ("Another program keeps the sessions file {path} locked.", "Close it and try again."),
    sqlite3.SQLITE_LOCKED: ("Another program keeps the sessions file {path} locked.", "Close it and try again."),
    sqlite3.SQLITE_READONLY: ("The sessions file {path} cannot be written.", "Check its owner and mode."),
    sqlite3.SQLITE_CANTOPEN: ("The sessions file {path} cannot be opened.", "Check the owner of its folder."),
    sqlite3.SQLITE_PERM: ("The sessions file {path} cannot be opened.", "Check its owner and mode."),
    sqlite3.SQLITE_CORRUPT: ("The sessions file {path} is damaged.", "Move it away: a new one is made."),
    sqlite3.SQLITE_NOTADB: ("{path} is not a sessions file.", "Move it away: a new one is made."),
    sqlite3.SQLITE_IOERR: ("The disk refused to read or write the sessions file {path}.", "Check the disk."),
}


class Database:
    """An open sessions file. Safe for use from several threads; close it, or use it as a context manager.

    Every write holds a file lock beside the file as well as SQLite's own, so that no checkpoint ever runs beside a
    writer: SQLite before 3.51.3 can lose a commit there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.RLock()
        _make_private(path)
        self._lock = filelock.FileLock(f"{path}.lock", timeout=WAIT_SECONDS, mode=0o600, thread_local=False)
        with explained(path):
            self._connection = sqlite3.connect(
                path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
            )
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Closing twice is allowed."""
        with self._mutex, suppress(DiskError), self._locked():
            self._connection.close()
        self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the file. Raises DiskError."""
        with self._mutex, explained(self.path):
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def writing(self, *, forget: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction: on disk when the block ends, undone when it raises. Raises DiskError.

        With `forget`, what was deleted is not even left in the log.
        """
        with self._mutex, explained(self.path), self._locked():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._refuse_newer()
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")
            self._checkpoint(least=0 if forget else CHECKPOINT_BYTES)

    def check(self) -> str:
        """SQLite's own verdict on the file, "ok" when nothing is wrong."""
        with self._mutex, explained(self.path):
            return str(self._connection.execute("PRAGMA integrity_check").fetchone()[0])

    def _prepare(self) -> None:
        with explained(self.path):
            version = _version(self._connection, self.path)
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA secure_delete = ON")
            self._connection.execute("PRAGMA wal_autocheckpoint = 0")
            self._connection.execute("PRAGMA mmap_size = 0")
            if version == len(MIGRATIONS) and self._mode() == "wal":
                return
            with self._locked():
                self._connection.execute("PRAGMA journal_mode = WAL")
        with self.writing() as connection:
            for number in range(_version(connection, self.path), len(MIGRATIONS)):
                for statement in MIGRATIONS[number]:
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _refuse_newer(self) -> None:
        """A newer program may have migrated the file while it was open here."""
        version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise _newer(self.path, version)

    def _mode(self) -> str:
        return str(self._connection.execute("PRAGMA journal_mode").fetchone()[0])

    def _checkpoint(self, *, least: int) -> None:
        """Move the write-ahead log into the file once it has more than `least` bytes, under the file lock."""
        try:
            size = os.stat(f"{self.path}-wal").st_size  # noqa: PTH116  # the name is no Path
        except OSError:
            return
        if size > least:
            with suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._lock.acquire(poll_interval=0.005)
        except filelock.Timeout:
            sentence, cure = _MESSAGES[sqlite3.SQLITE_BUSY]
            raise DiskError(sentence.format(path=self.path), cure) from None
        except OSError as error:
            raise DiskError(f"Cannot lock {self.path}: {error.strerror}.", "Check the owner of its folder.") from None
        try:
            yield
        finally:
            self._lock.release()


def look(path: Path) -> None:
    """Raise DiskError when there is a sessions file that this version cannot use. Changes nothing."""
    if path.exists():
        with explained(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            _version(connection, path)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into DiskError sentences about `path`."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        sentence, cure = _MESSAGES.get((code or 0) & 0xFF, ("The sessions file {path} cannot be used: {error}.", ""))
        raise DiskError(sentence.format(path=path, error=error), cure) from error


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """The schema version of the file. Raises DiskError when it is not ours or of a newer program."""
    application, version, tables = connection.execute(_STATE).fetchone()
    if application != APPLICATION and (application or version or tables):
        raise DiskError(f"{path} is not a sessions file.", "Move it away: a new one is made.")
    if version > len(MIGRATIONS):
        raise _newer(path, version)
    return int(version)


def _newer(path: Path, version: int) -> NewerFile:
    instead = "set FCLOCAL_DATA to another folder to begin anew."
    return NewerFile(f"The sessions file {path}", found=version, known=len(MIGRATIONS), instead=instead)


def _make_private(path: Path) -> None:
    """Make the file (mode 0600) in its private folder, or refuse one of another user."""
    private_folder(path.parent)
    try:
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise DiskError(f"Cannot open the sessions file {path}: {error.strerror}.", "Check its owner.") from None
    try:
        if os.name != "posix":
            return
        status = os.fstat(handle)
        if os.geteuid() not in (0, status.st_uid):
            raise DiskError(
                f"The sessions file {path} belongs to another user.", "Set FCLOCAL_DATA to a folder of yours."
            )
        if status.st_mode & _OWN_AND_READ:
            os.fchmod(handle, 0o600)
    finally:
        os.close(handle)

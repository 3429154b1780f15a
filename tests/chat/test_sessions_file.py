"""The sessions file: private, migrated, faults are sentences, and nothing acknowledged is lost."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from fclocal.chat import database
from fclocal.chat.migrations import MIGRATIONS
from fclocal.chat.store import Sessions
from fclocal.errors import DiskError, ExitCode
from fclocal.messages import FunctionResult, UserMessage
from tests.chat.kill_loop import kill_many
from tests.chat.test_store import CALL, begin

WRITER = Path(__file__).with_name("session_writer.py")


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_files_are_private_under_any_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        path.parent.mkdir(mode=0o700)
        path.parent.chmod(0o700)
        with Sessions(path) as stored:
            begin(stored)
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert {"sessions.db", "sessions.db-wal", "sessions.db-shm"} <= set(modes)
    assert all(mode & 0o077 == 0 for mode in modes.values()), modes


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    Sessions(path).close()
    path.chmod(0o644)
    Sessions(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_newer_file_is_refused_and_left_alone(path: Path) -> None:
    with Sessions(path) as stored:
        begin(stored)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(DiskError, match="newer fclocal") as caught:
        Sessions(path)
    assert "Update" in caught.value.cure
    assert path.read_bytes() == before


def test_an_older_file_is_migrated_in_one_step(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Sessions(path) as stored:
        record = begin(stored)
    newer = (*MIGRATIONS, ("ALTER TABLE sessions ADD COLUMN mood TEXT", "UPDATE sessions SET mood = 'fine'"))
    monkeypatch.setattr(database, "MIGRATIONS", newer)
    with Sessions(path) as stored:
        assert stored.load(record.id).messages == (UserMessage("hello there"),)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT mood FROM sessions").fetchone() == ("fine",)
    connection.close()


def test_a_migration_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Sessions(path) as stored:
        begin(stored)
    broken = (*MIGRATIONS, ("ALTER TABLE sessions ADD COLUMN mood TEXT", "UPDATE nowhere SET x = 1"))
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", broken)
        with pytest.raises(DiskError):
            Sessions(path)
    with Sessions(path) as stored:
        assert len(stored.list()) == 1


@pytest.mark.parametrize("content", [b"hello", b"SQLite format 3\x00" + b"\xff" * 4096, os.urandom(8192)])
def test_a_file_that_is_no_database_is_a_sentence(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(DiskError) as caught:
        Sessions(path)
    assert str(path) in caught.value.sentence
    assert caught.value.exit_code == ExitCode.DISK
    assert path.read_bytes() == content


def test_a_database_of_another_program_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(DiskError, match="not a sessions file"):
        Sessions(path)
    assert path.read_bytes() == before


def test_a_damaged_file_is_a_sentence(path: Path) -> None:
    with Sessions(path) as stored:
        for number in range(60):
            begin(stored, UserMessage(f"{number} " + "text " * 200))
    content = bytearray(path.read_bytes())
    content[4096 : len(content) - 4096] = b"\x7f" * (len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(DiskError, match=r"damaged|not a sessions"), Sessions(path) as stored:
        for summary in stored.list():
            stored.load(summary.id)


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError):
        Sessions(tmp_path / "file" / "sessions.db")
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(DiskError):
        Sessions(tmp_path / "folder.db")


def test_a_fault_ends_the_writing_and_not_the_conversation(stored: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[DiskError] = []
    record = stored.record(on_fault=told.append)
    record.message(UserMessage("kept"), {})
    full(stored)
    record.message(UserMessage("x" * 100_000), {})
    record.began(CALL, verdict="allow", original=None)
    record.ended(CALL, FunctionResult("c1", "done"), ms=0)
    assert record.stopped
    assert [error.sentence for error in told] == [f"No space is left for the sessions file {stored.path}."]
    assert stored.load(record.id).messages == (UserMessage("kept"),)
    assert stored.check() == "ok"


def test_a_fault_is_raised_where_nobody_takes_it(stored: Sessions) -> None:
    record = begin(stored)
    full(stored)
    with pytest.raises(DiskError, match="No space"):
        record.message(UserMessage("x" * 100_000), {})


def full(stored: Sessions) -> None:
    """Let SQLite find its disk full: no page can be added any more."""
    with stored._database.writing() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")


def test_a_lock_that_is_never_given_back_is_a_sentence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.05)
    with Sessions(path) as stored, filelock.FileLock(f"{path}.lock"), pytest.raises(DiskError, match="locked"):
        begin(stored)


def test_sqlite_locked_by_another_program_is_a_sentence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.05)
    with Sessions(path) as stored:
        begin(stored)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DiskError, match="locked"):
            begin(stored)
        other.execute("ROLLBACK")
        other.close()
        begin(stored)


def test_the_log_is_folded_into_the_file(stored: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CHECKPOINT_BYTES", 200_000)
    record = begin(stored)
    log = Path(f"{stored.path}-wal")
    for _ in range(30):
        record.message(UserMessage("x" * 50_000), {})
        assert log.stat().st_size < 500_000
    assert len(stored.load(record.id).messages) == 31


def test_closing_twice(path: Path) -> None:
    stored = Sessions(path)
    stored.close()
    stored.close()
    with Sessions(path) as again:
        assert again.check() == "ok"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_killed_in_mid_turn_loses_nothing_and_runs_nothing_twice(tmp_path: Path) -> None:
    tally = kill_many(tmp_path, 20, seed=7)
    assert (tally.kills, tally.integrity) == (20, "ok")
    assert tally.acknowledged >= 20
    assert tally.ran >= 5
    assert (tally.lost, tally.twice, tally.unannounced) == (0, 0, 0)


def test_a_call_whose_process_was_killed_while_it_ran_is_of_unknown_outcome(path: Path) -> None:
    for word in ("began", "ran"):
        writer = subprocess.Popen([sys.executable, str(WRITER), str(path), "1"], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        kill_after(writer, word)
    with Sessions(path) as stored:
        outcomes = {call.outcome for summary in stored.list() for call in stored.load(summary.id).calls}
    assert outcomes <= {"unknown", "done"}


def kill_after(writer: subprocess.Popen[str], word: str) -> None:
    assert writer.stdout is not None
    for line in writer.stdout:
        if line.startswith(word):
            writer.kill()
            break
    writer.stdout.close()
    writer.wait()


def test_eight_processes_write_at_once(path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, str(WRITER), str(path), "12"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for _ in range(8)
    ]
    for writer in writers:
        _, complaint = writer.communicate()
        assert (writer.returncode, complaint) == (0, b"")
    with Sessions(path) as stored:
        assert stored.check() == "ok"
        found = [stored.load(summary.id) for summary in stored.list()]
    assert len(found) == 8
    assert all(len(session.messages) == 36 for session in found)
    assert all(call.outcome == "done" for session in found for call in session.calls)

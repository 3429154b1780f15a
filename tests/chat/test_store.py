"""Stored sessions: what goes in comes out, faults are sentences, and nothing acknowledged is lost."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import filelock
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fclocal.chat import database
from fclocal.chat.migrations import MIGRATIONS
from fclocal.chat.recording import Recording
from fclocal.chat.store import Sessions
from fclocal.chat.stored import NO_RESULT, UNKNOWN
from fclocal.errors import DiskError, ExitCode, UsageError
from fclocal.events import Origin, Receipt
from fclocal.functions import from_openai
from fclocal.messages import AssistantMessage, FunctionCall, FunctionResult, Message, SystemMessage, UserMessage
from tests.chat.kill_loop import kill_many

RECEIPT = Receipt(
    grammar="full",
    valid=True,
    unenforced={"/a": "pattern"},
    caps={"/b": 7},
    model="m",
    sha256="0" * 64,
    quant="Q4_0",
    dialect="trelis-llama",
    seed=3,
    tokens_sampled=5,
    tokens_forced=6,
    name_logprob=-0.5,
    argument_logprobs={"a": -0.25, "b": None},
    retries=1,
    ms=12.5,
    origins={"a": Origin("user", "Ä", 0, (1, 2), 0.5), "b": Origin("unsupported")},
)
CALL = FunctionCall("c1", "delete_file", {"fileNames": ["a.txt"], "n": 2**70, "deep": {"x": [None, 1.5, True]}})
FUNCTION = from_openai({"name": "delete_file", "parameters": {"type": "object"}}, origin="test")


WRITER = Path(__file__).with_name("session_writer.py")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "sessions.db"


@pytest.fixture
def stored(path: Path) -> Iterator[Sessions]:
    with Sessions(path) as opened:
        yield opened


def begin(stored: Sessions, *said: Message) -> Recording:
    record = stored.record(model="m", dialect="trelis-llama", functions=(FUNCTION,))
    for message in said or (UserMessage("hello there"),):
        record.message(message, {})
    return record


def test_everything_comes_back(stored: Sessions) -> None:
    record = begin(stored, SystemMessage("be kind"), UserMessage("delete a.txt"))
    record.message(AssistantMessage("Well:", (CALL,), thinking="hm"), {"c1": RECEIPT})
    record.began(CALL, verdict="allow by the user", original=None)
    record.ended(CALL, FunctionResult("c1", '{"ok": 1}', name="delete_file"), ms=3.5)
    record.message(AssistantMessage("Done."), {})
    session = stored.load(record.id)
    assert session.messages == (
        SystemMessage("be kind"),
        UserMessage("delete a.txt"),
        AssistantMessage("Well:", (CALL,), thinking="hm"),
        FunctionResult("c1", '{"ok": 1}', name="delete_file"),
        AssistantMessage("Done."),
    )
    (call,) = session.calls
    assert (call.call, call.receipt, call.edited, call.message) == (CALL, RECEIPT, None, 2)
    assert (call.verdict, call.outcome, call.ms) == ("allow by the user", "done", 3.5)
    assert (session.functions, session.notes) == ((FUNCTION,), ())
    assert len(session.times) == 5
    assert (session.summary.title, session.summary.messages, session.summary.calls) == ("delete a.txt", 5, 1)


def test_what_the_user_changed_is_kept_beside_the_original(stored: Sessions) -> None:
    record = begin(stored)
    record.message(AssistantMessage("", (CALL,)), {})
    edited = FunctionCall("c1", "delete_file", {"fileNames": ["b.txt"]})
    record.began(edited, verdict="allow by the user", original=CALL)
    record.ended(edited, FunctionResult("c1", "ok", name="delete_file"), ms=1)
    session = stored.load(record.id)
    assert (session.calls[0].call, session.calls[0].edited) == (CALL, edited)
    assert session.messages[1] == AssistantMessage("", (edited,))


def test_outcomes(stored: Sessions) -> None:
    record = begin(stored)
    calls = tuple(FunctionCall(f"c{number}", "run", {"n": number}) for number in range(5))
    record.message(AssistantMessage("", calls), {})
    record.began(calls[0], verdict="allow", original=None)
    record.ended(calls[0], FunctionResult("c0", "boom", ok=False, name="run"), ms=1)
    record.ended(calls[1], FunctionResult("c1", "Not run. No.", ok=False, name="run"), ms=0)
    record.ended(calls[2], FunctionResult("c2", "again", name="run"), ms=0)
    record.began(calls[3], verdict="allow", original=None)
    session = stored.load(record.id)
    assert [call.outcome for call in session.calls] == ["failed", "denied", "reused", "unknown", "open"]
    assert session.summary.unknown == 1
    assert len(session.notes) == 1
    assert '"n": 3' in session.notes[0]


def test_a_call_without_an_outcome_is_closed_on_resume_and_the_file_is_left_alone(stored: Sessions) -> None:
    record = begin(stored)
    second = FunctionCall("c2", "run", {})
    record.message(AssistantMessage("", (CALL, second)), {})
    record.began(CALL, verdict="allow", original=None)
    for _ in range(2):
        session = stored.load(record.id)
        assert session.messages[2:] == (
            FunctionResult("c1", UNKNOWN, ok=False, name="delete_file"),
            FunctionResult("c2", NO_RESULT, ok=False, name="run"),
        )
        assert session.times[2:] == (None, None)
        assert session.summary.messages == 2
    again = stored.go_on(record.id)
    again.message(UserMessage("go on"), {})
    session = stored.load(record.id)
    assert [type(message).__name__ for message in session.messages[2:]] == ["FunctionResult"] * 2 + ["UserMessage"]
    assert session.messages[-1] == UserMessage("go on")


def test_nothing_is_kept_before_somebody_speaks(stored: Sessions) -> None:
    record = stored.record()
    record.message(SystemMessage("be kind"), {})
    assert stored.list() == ()
    record.message(UserMessage("hi"), {})
    assert stored.load(record.id).messages == (SystemMessage("be kind"), UserMessage("hi"))


def test_titles(stored: Sessions) -> None:
    long = begin(stored, UserMessage("word " * 40))
    assert 20 < len(stored.find(long.id).title) <= 63
    named = stored.record(title="Mine")
    named.message(UserMessage("hello"), {})
    assert stored.find("Mine").id == named.id
    stored.rename(named.id, "  Two\nwords ")
    assert stored.load("Two words").summary.title == "Two words"
    with pytest.raises(UsageError, match="empty"):
        stored.rename(named.id, " ")


def test_find(stored: Sessions) -> None:
    one, two = begin(stored), begin(stored)
    assert stored.find(one.id[:7] if one.id[:7] != two.id[:7] else one.id).id == one.id
    assert stored.find("last").id == two.id
    for word in ("", "%", "nothing", "_" * 8):
        with pytest.raises(UsageError, match="No session"):
            stored.find(word)
    with pytest.raises(UsageError, match="More than one"):
        stored.find("hello there")


def test_list_is_by_last_change(path: Path) -> None:
    clock = iter(range(1000))
    with Sessions(path, now=lambda: float(next(clock))) as stored:
        first, second = begin(stored), begin(stored)
        assert [summary.id for summary in stored.list()] == [second.id, first.id]
        first.message(UserMessage("more"), {})
        assert [summary.id for summary in stored.list()] == [first.id, second.id]
        assert [summary.id for summary in stored.list(limit=1)] == [first.id]


def test_search(stored: Sessions) -> None:
    kites = begin(stored, UserMessage("Tell me about kites in Zürich"))
    begin(stored, UserMessage("東京の天気"), AssistantMessage("100% sunny_day"))
    assert [found.session.id for found in stored.search("kites")] == [kites.id]
    assert [found.message for found in stored.search("zurich kit")] == [0]
    assert [found.role for found in stored.search("天気")] == ["user"]
    assert [found.role for found in stored.search("100%")] == ["assistant"]
    for words in ("", "kites boats", '"', "kites OR", "NEAR(", "a*", "-kites", "%", "' --"):
        assert len(stored.search(words)) <= 1
    assert "kites in Z" in stored.search("kites")[0].excerpt


def test_remove(stored: Sessions) -> None:
    record = begin(stored)
    record.message(AssistantMessage("", (CALL,)), {"c1": RECEIPT})
    kept = begin(stored, UserMessage("other"))
    stored.remove(record.id)
    assert [summary.id for summary in stored.list()] == [kept.id]
    assert stored.search("hello") == ()
    assert stored.check() == "ok"
    with sqlite3.connect(stored.path) as connection:
        assert connection.execute("SELECT count(*) FROM calls").fetchone() == (0,)


def test_what_was_removed_is_nowhere_on_the_disk(stored: Sessions) -> None:
    kept = begin(stored, UserMessage("keepsake"))
    secret = begin(
        stored, UserMessage("xylophonist " * 50), AssistantMessage("", (FunctionCall("c", "f", {"x": "zirconium"}),))
    )
    stored.search("xylophonist")
    stored.remove(secret.id)
    for file in stored.path.parent.iterdir():
        content = file.read_bytes()
        assert b"xylophon" not in content, file.name
        assert b"zirconium" not in content, file.name
    assert stored.load(kept.id).messages == (UserMessage("keepsake"),)
    assert [found.session.id for found in stored.search("keepsake")] == [kept.id]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=[]), max_size=40), min_size=1, max_size=4))
def test_any_text_is_kept(stored: Sessions, texts: list[str]) -> None:
    """Lone surrogates become U+FFFD, everything else is as it was."""
    record = stored.record()
    for text in texts:
        call = FunctionCall(f"c{len(text)}{text[:2]}", text or "f", {text: text})
        record.message(UserMessage(text), {})
        record.message(AssistantMessage(text, (call,)), {})
        record.ended(call, FunctionResult(call.id, text, name=text), ms=0)
    back = stored.load(record.id)
    whole = [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts]
    assert [message.text for message in back.messages if isinstance(message, UserMessage)] == whole
    assert [message.content for message in back.messages if isinstance(message, FunctionResult)] == whole


# The file


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


# Crashes and company


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

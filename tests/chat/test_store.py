"""Stored sessions: what goes in comes out."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fclocal.chat.recording import Recording
from fclocal.chat.store import Sessions
from fclocal.chat.stored import NO_RESULT, UNKNOWN
from fclocal.errors import UsageError
from fclocal.events import Origin, Receipt
from fclocal.functions import from_openai
from fclocal.messages import AssistantMessage, FunctionCall, FunctionResult, Message, SystemMessage, UserMessage

RECEIPT = Receipt(
    grammar="full",
    valid=True,
    unenforced={"/a": "pattern"},
    unchecked={"/c": "format"},
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

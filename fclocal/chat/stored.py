"""Stored conversations as values, and how they are read back from their rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from fclocal.chat.receipt import call_json
from fclocal.chat.rows import load_object, read_functions, read_receipt
from fclocal.events import Receipt
from fclocal.functions import Function
from fclocal.messages import AssistantMessage, FunctionCall, FunctionResult, Message, SystemMessage, UserMessage

Outcome: TypeAlias = Literal["open", "unknown", "done", "failed", "reused", "denied"]
NO_RESULT = "No result."
UNKNOWN = "Outcome unknown: the program stopped while this ran. It was not run again."


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """One line of the list. Times are Unix seconds; `unknown` counts calls that began and never ended."""

    id: str
    title: str
    created: float
    updated: float
    model: str
    dialect: str
    messages: int
    calls: int
    unknown: int


@dataclass(frozen=True, slots=True)
class StoredCall:
    """One call as the model made it, what it was changed to before it ran, and what came of it.

    `message` is the number of its reply in the session's messages, -1 when it is in none. `outcome` is "unknown" when
    the call began and the program stopped before it ended, "open" when it never began, "reused" when an earlier result
    answered it.
    """

    call: FunctionCall
    message: int
    receipt: Receipt | None
    verdict: str
    edited: FunctionCall | None
    began: float | None
    ended: float | None
    ms: float | None
    outcome: Outcome

    @property
    def final(self) -> FunctionCall:
        """The call that ran, or would have."""
        return self.edited or self.call


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A whole conversation. `times` are the Unix seconds of each message; `notes` tell of unknown outcomes.

    `messages` can be gone on from: replies show the calls that really ran, and a call without an outcome has a result
    that says so. Those results have no time and are not in the file.
    """

    summary: SessionSummary
    messages: tuple[Message, ...]
    times: tuple[float | None, ...]
    calls: tuple[StoredCall, ...]
    functions: tuple[Function, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A message that a search found; `excerpt` is the text around the first word."""

    session: SessionSummary
    message: int
    role: str
    at: float
    excerpt: str


def summaries(connection: sqlite3.Connection, rest: str, values: tuple[str | int, ...]) -> Iterator[SessionSummary]:
    """The sessions that `rest` of the statement picks."""
    rows = connection.execute(
        f"""SELECT id, title, created, updated, model, dialect,
            (SELECT count(*) FROM messages WHERE session = sessions.id),
            (SELECT count(*) FROM calls WHERE session = sessions.id),
            (SELECT count(*) FROM calls WHERE session = sessions.id AND began IS NOT NULL AND ended IS NULL)
        FROM sessions {rest}""",
        values,
    )
    return (SessionSummary(*row) for row in rows)


def read_session(connection: sqlite3.Connection, summary: SessionSummary) -> StoredSession:
    """All of one conversation."""
    rows = connection.execute(
        "SELECT id, at, role, text, thinking, call, name, ok FROM messages WHERE session = ? ORDER BY id", (summary.id,)
    ).fetchall()
    calls = tuple(_read_calls(connection, summary.id))
    (functions,) = connection.execute("SELECT functions FROM sessions WHERE id = ?", (summary.id,)).fetchone()
    timed = [(_read_message(row[2:], row[0], calls), float(row[1])) for row in rows]
    whole = tuple(_completed(timed, calls))
    places = {
        call.id: number
        for number, (message, _) in enumerate(whole)
        if isinstance(message, AssistantMessage)
        for call in message.calls
    }
    return StoredSession(
        summary,
        tuple(message for message, _ in whole),
        tuple(at for _, at in whole),
        tuple(replace(call, message=places.get(call.call.id, -1)) for call in calls),
        read_functions(functions),
        tuple(f"The outcome of {call_json(call.final)} is unknown." for call in calls if call.outcome == "unknown"),
    )


def _read_calls(connection: sqlite3.Connection, session: str) -> Iterator[StoredCall]:
    """The calls in their order; `message` is the row of the reply, for now."""
    rows = connection.execute(
        "SELECT message, call, name, arguments, receipt, verdict, edited, began, ended, ms, ok FROM calls"
        " WHERE session = ? ORDER BY id",
        (session,),
    )
    for message, identity, name, arguments, receipt, verdict, edited, began, ended, ms, ok in rows:
        call = FunctionCall(identity, name, load_object(arguments))
        yield StoredCall(
            call,
            message if message is not None else -1,
            read_receipt(receipt),
            verdict or "",
            replace(call, arguments=load_object(edited)) if edited is not None else None,
            began,
            ended,
            ms,
            _outcome(began, ended, ok),
        )


def _outcome(began: float | None, ended: float | None, ok: int | None) -> Outcome:
    if began is None:
        return "open" if ended is None else "reused" if ok else "denied"
    return "unknown" if ended is None else "done" if ok else "failed"


def _read_message(row: tuple[str, str, str, str | None, str, int], place: int, calls: Sequence[StoredCall]) -> Message:
    role, text, thinking, call, name, ok = row
    match role:
        case "system":
            return SystemMessage(text)
        case "user":
            return UserMessage(text)
        case "result":
            return FunctionResult(call or "", text, ok=bool(ok), name=name)
        case _:
            made = tuple(stored.final for stored in calls if stored.message == place)
            return AssistantMessage(text, made, thinking)


def _completed(
    timed: Sequence[tuple[Message, float]], calls: Sequence[StoredCall]
) -> Iterator[tuple[Message, float | None]]:
    """The messages, with a result for every call that has none, after those of the same reply."""
    answered = {message.call_id for message, _ in timed if isinstance(message, FunctionResult)}
    outcomes = {stored.call.id: stored.outcome for stored in calls}
    waiting: list[FunctionCall] = []
    for message, at in timed:
        if not isinstance(message, FunctionResult):
            yield from ((result, None) for result in _closed(waiting, outcomes))
            waiting = []
        yield message, at
        if isinstance(message, AssistantMessage):
            waiting = [call for call in message.calls if call.id not in answered]
    yield from ((result, None) for result in _closed(waiting, outcomes))


def _closed(calls: Sequence[FunctionCall], outcomes: dict[str, Outcome]) -> Iterator[FunctionResult]:
    for call in calls:
        text = UNKNOWN if outcomes.get(call.id) == "unknown" else NO_RESULT
        yield FunctionResult(call.id, text, ok=False, name=call.name)

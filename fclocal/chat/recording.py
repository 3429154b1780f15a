"""One conversation, written down as it happens: intent before a function runs, outcome after."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fclocal.chat.database import Database
from fclocal.chat.rows import clean, dump, write_functions, write_receipt
from fclocal.errors import DiskError
from fclocal.events import Receipt
from fclocal.functions import Function
from fclocal.messages import AssistantMessage, FunctionCall, FunctionResult, Message, SystemMessage, UserMessage

MAX_TITLE = 60


@dataclass(frozen=True, slots=True)
class Heading:
    """What is known of a conversation before anybody spoke."""

    title: str
    model: str
    dialect: str
    functions: tuple[Function, ...]


class Recording:
    """Writes one conversation down; everything is on disk when a method returns.

    Messages of the system wait for the first other one, so that a conversation in which nobody spoke leaves nothing.
    A fault of the disk goes to `on_fault` and ends the writing; without `on_fault` it is raised as DiskError.
    """

    def __init__(
        self,
        database: Database,
        identity: str,
        *,
        heading: Heading | None,
        now: Callable[[], float],
        on_fault: Callable[[DiskError], None] | None,
    ) -> None:
        self.id = identity
        self._database = database
        self._heading = heading
        self._now = now
        self._on_fault = on_fault
        self._waiting: list[Message] = []
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether a fault ended the writing; the conversation goes on in memory alone."""
        return self._stopped

    def message(self, message: Message, receipts: Mapping[str, Receipt]) -> None:
        """Keep a message, the calls in it and their receipts by call id."""
        if isinstance(message, SystemMessage) and self._heading is not None:
            self._waiting.append(message)
            return
        title = _title(message)
        self._write(lambda connection: self._insert(connection, message, receipts), title)

    def began(self, call: FunctionCall, *, verdict: str, original: FunctionCall | None) -> None:
        """Keep the intent to run `call`, who allowed it, and what it was before the user changed it."""
        edited = dump(call.arguments) if original is not None and original != call else None

        def work(connection: sqlite3.Connection) -> None:
            self._ensure_call(connection, original or call)
            connection.execute(
                "UPDATE calls SET verdict = ?, edited = ?, began = ? WHERE session = ? AND call = ?",
                (clean(verdict), edited, self._now(), self.id, clean(call.id)),
            )

        self._write(work, call.name)

    def ended(self, call: FunctionCall, result: FunctionResult, *, ms: float) -> None:
        """Keep the result of `call`, whether it ran or was refused."""

        def work(connection: sqlite3.Connection) -> None:
            self._ensure_call(connection, call)
            self._insert(connection, result, {})
            connection.execute(
                "UPDATE calls SET ended = ?, ms = ?, ok = ? WHERE session = ? AND call = ?",
                (self._now(), ms, result.ok, self.id, clean(call.id)),
            )

        self._write(work, call.name)

    def _write(self, work: Callable[[sqlite3.Connection], None], title: str) -> None:
        """Do `work` in one transaction, after which the session is in the file under `title` or its own."""
        if self._stopped:
            return
        try:
            with self._database.writing() as connection:
                if self._heading is not None:
                    self._begin(connection, self._heading, title)
                work(connection)
                connection.execute("UPDATE sessions SET updated = ? WHERE id = ?", (self._now(), self.id))
        except DiskError as error:
            self._stopped = True
            if self._on_fault is None:
                raise
            self._on_fault(error)
            return
        self._heading = None
        self._waiting.clear()

    def _begin(self, connection: sqlite3.Connection, heading: Heading, title: str) -> None:
        at = self._now()
        connection.execute(
            "INSERT INTO sessions (id, title, named, created, updated, model, dialect, functions)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self.id,
                heading.title or title,
                bool(heading.title),
                at,
                at,
                clean(heading.model),
                heading.dialect,
                write_functions(heading.functions),
            ),
        )
        for message in self._waiting:
            self._insert(connection, message, {})

    def _insert(self, connection: sqlite3.Connection, message: Message, receipts: Mapping[str, Receipt]) -> None:
        row = connection.execute(
            "INSERT INTO messages (session, at, role, text, thinking, call, name, ok) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (self.id, self._now(), *_columns(message)),
        ).lastrowid
        for made in message.calls if isinstance(message, AssistantMessage) else ():
            receipt = receipts.get(made.id)
            written = write_receipt(receipt) if receipt else None
            connection.execute(
                "INSERT INTO calls (session, message, call, name, arguments, receipt) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (self.id, row, clean(made.id), clean(made.name), dump(made.arguments), written),
            )

    def _ensure_call(self, connection: sqlite3.Connection, call: FunctionCall) -> None:
        """A call that no reply holds is kept too."""
        connection.execute(
            "INSERT INTO calls (session, call, name, arguments) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (self.id, clean(call.id), clean(call.name), dump(call.arguments)),
        )


def _columns(message: Message) -> tuple[str, str, str, str | None, str, bool]:
    """Role, text, thinking, call id, function and success."""
    match message:
        case SystemMessage(text=text):
            return ("system", clean(text), "", None, "", True)
        case UserMessage(text=text):
            return ("user", clean(text), "", None, "", True)
        case AssistantMessage(text=text, thinking=thinking):
            return ("assistant", clean(text), clean(thinking), None, "", True)
        case FunctionResult(call_id=call_id, content=content, ok=ok, name=name):
            return ("result", clean(content), "", clean(call_id), clean(name), ok)


def _title(message: Message) -> str:
    """The first words of what was said."""
    text = " ".join(_columns(message)[1].split())
    if len(text) <= MAX_TITLE:
        return text
    return text[:MAX_TITLE].rsplit(" ", 1)[0] + "..."

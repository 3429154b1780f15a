"""Stored conversations in one SQLite file: begin, find, load, rename, remove and search them.

Knows messages; knows no engine and no screen.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from fclocal import paths
from fclocal.chat.database import Database, look
from fclocal.chat.recording import Heading, Recording
from fclocal.chat.rows import clean
from fclocal.chat.search import excerpt, match_query, plain_needles
from fclocal.chat.stored import Found, SessionSummary, StoredSession, read_session, summaries
from fclocal.errors import DiskError, UsageError
from fclocal.functions import Function

FILE = "sessions.db"
MAX_TITLE = 80

_SEARCH_WORDS = """
    SELECT messages.session,
        (SELECT count(*) FROM messages AS old WHERE old.session = messages.session AND old.id < messages.id),
        messages.role, messages.at, messages.text
    FROM messages_text JOIN messages ON messages.id = messages_text.rowid
    WHERE messages_text MATCH ? ORDER BY rank, messages.id DESC LIMIT ?
"""
_SEARCH_PLAIN = """
    SELECT messages.session,
        (SELECT count(*) FROM messages AS old WHERE old.session = messages.session AND old.id < messages.id),
        messages.role, messages.at, messages.text
    FROM messages WHERE {where} ORDER BY messages.id DESC LIMIT ?
"""


def check_file() -> None:
    """Raise DiskError when the user's sessions file is there and cannot be used. Changes nothing, migrates nothing."""
    look(paths.data_folder() / FILE)


class Sessions:
    """The stored conversations of one user. Close it, or use it as a context manager."""

    def __init__(self, path: Path | None = None, *, now: Callable[[], float] = time.time) -> None:
        self._database = Database(path or paths.data_folder() / FILE)
        self._now = now

    def __enter__(self) -> Sessions:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return self._database.path

    def close(self) -> None:
        """Close the file. Closing twice is allowed."""
        self._database.close()

    def check(self) -> str:
        """SQLite's verdict on the whole file, "ok" when nothing is wrong."""
        return self._database.check()

    def record(
        self,
        *,
        title: str = "",
        model: str = "",
        dialect: str = "",
        functions: Sequence[Function] = (),
        on_fault: Callable[[DiskError], None] | None = None,
    ) -> Recording:
        """A new conversation to write down. It is in the file from its first message other than the system's.

        `on_fault` gets the first DiskError, and nothing is written from then on; without it, DiskError is raised.
        """
        identity = secrets.token_hex(4)
        heading = Heading(clean(title)[:MAX_TITLE], model, dialect, tuple(functions))
        return Recording(self._database, identity, heading=heading, now=self._now, on_fault=on_fault)

    def go_on(self, session: str, *, on_fault: Callable[[DiskError], None] | None = None) -> Recording:
        """Write down more of a stored conversation. Raises UsageError when there is none called so."""
        identity = self.find(session).id
        return Recording(self._database, identity, heading=None, now=self._now, on_fault=on_fault)

    def list(self, *, limit: int | None = None) -> tuple[SessionSummary, ...]:
        """Every conversation, the last changed first."""
        with self._database.reading() as connection:
            return tuple(summaries(connection, "ORDER BY updated DESC, id LIMIT ?", (-1 if limit is None else limit,)))

    def find(self, word: str) -> SessionSummary:
        """The session whose id begins with `word`, whose title is `word`, or the last one for "last".

        Raises UsageError when there is none or more than one.
        """
        with self._database.reading() as connection:
            if word == "last":
                found = list(summaries(connection, "ORDER BY updated DESC, id LIMIT 1", ()))
            else:
                pattern = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
                where = "WHERE id LIKE ? ESCAPE '\\' OR title = ? ORDER BY id = ? DESC, updated DESC LIMIT 3"
                found = list(summaries(connection, where, (f"{pattern}%", clean(word), word)))
        if not found or not word:
            raise UsageError(f"No session {word!r}.", "Try: fclocal sessions list")
        if len(found) > 1 and found[0].id != word:
            raise UsageError(f"More than one session is called {word!r}.", "Give more of its id.")
        return found[0]

    def load(self, session: str) -> StoredSession:
        """A whole conversation. Raises UsageError when there is none called so."""
        summary = self.find(session)
        with self._database.reading() as connection:
            return read_session(connection, summary)

    def rename(self, session: str, title: str) -> SessionSummary:
        """Give a conversation a title of the user's own."""
        title = " ".join(clean(title).split())[:MAX_TITLE]
        if not title:
            raise UsageError("The title is empty.", "Give one: fclocal sessions rename ID TITLE")
        summary = self.find(session)
        with self._database.writing() as connection:
            connection.execute("UPDATE sessions SET title = ?, named = 1 WHERE id = ?", (title, summary.id))
        return replace(summary, title=title)

    def remove(self, session: str) -> SessionSummary:
        """Delete a conversation with everything in it, without a trace in the file or its log."""
        summary = self.find(session)
        with self._database.writing(forget=True) as connection:
            connection.execute("DELETE FROM calls WHERE session = ?", (summary.id,))
            connection.execute("DELETE FROM messages WHERE session = ?", (summary.id,))
            connection.execute("DELETE FROM sessions WHERE id = ?", (summary.id,))
            connection.execute("INSERT INTO messages_text (messages_text) VALUES ('optimize')")
        return summary

    def search(self, words: str, *, limit: int = 20) -> tuple[Found, ...]:
        """Messages that hold every one of `words` (the last may be the beginning of one), the best first.

        Text written without spaces between words is searched for as it stands.
        """
        query = match_query(words)
        with self._database.reading() as connection:
            rows = connection.execute(_SEARCH_WORDS, (query, limit)).fetchall() if query else []
            if not rows and (needles := plain_needles(words)):
                where = " AND ".join(["messages.text LIKE ? ESCAPE '\\'"] * len(needles))
                rows = connection.execute(_SEARCH_PLAIN.format(where=where), (*needles, limit)).fetchall()
            known = {summary.id: summary for summary in summaries(connection, "", ())} if rows else {}
            return tuple(
                Found(known[session], number, role, at, excerpt(text, words))
                for session, number, role, at, text in rows
            )

"""The work of `fclocal sessions`: read the store, print, give the exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from fclocal.chat.export import FORMATS, left_out, session_json, session_markdown, training_lines
from fclocal.chat.store import Sessions
from fclocal.chat.stored import SessionSummary, StoredSession
from fclocal.cli.options import one_of
from fclocal.cli.rim import say
from fclocal.cli.tables import emit, table
from fclocal.dialects.select import DEFAULT, pick
from fclocal.errors import DiskError
from fclocal.escapes import visible
from fclocal.functions import Json


def show_list(limit: int | None, *, as_json: bool) -> None:
    """Every conversation as a row."""
    with Sessions() as stored:
        found = stored.list(limit=limit)
    if as_json:
        emit([_summary_json(summary) for summary in found])
        return
    if not found:
        say("No conversation is stored yet.")
        return
    table(
        ("ID", "CHANGED", "MESSAGES", "CALLS", "MODEL", "TITLE"),
        [(one.id, _when(one.updated), str(one.messages), _calls(one), one.model, one.title) for one in found],
    )


def show(name: str, *, as_json: bool) -> None:
    """One conversation to read."""
    session = _load(name)
    if as_json:
        emit(session_json(session))
        return
    print(visible(session_markdown(session)), end="")
    for note in session.notes:
        say(note)


def search(words: str, limit: int, *, as_json: bool) -> None:
    """Messages that hold every word."""
    with Sessions() as stored:
        found = stored.search(words, limit=limit)
    if as_json:
        emit(
            [
                {"session": one.session.id, "title": one.session.title, "message": one.message, "role": one.role}
                | {"at": one.at, "excerpt": one.excerpt}
                for one in found
            ]
        )
        return
    if not found:
        say(f"No message holds {words!r}.")
        return
    table(
        ("ID", "WHEN", "WHO", "TEXT"),
        [(one.session.id, _when(one.at), one.role, one.excerpt) for one in found],
    )


def rename(name: str, title: str, *, as_json: bool) -> None:
    """A new title."""
    with Sessions() as stored:
        summary = stored.rename(name, title)
    if as_json:
        emit(_summary_json(summary))
    else:
        say(f"{summary.id} is now called {summary.title!r}.")


def export(name: str, form: str, output: Path | None, *, dialect: str | None, as_json: bool) -> None:
    """One conversation in one of FORMATS, on stdout or in a file. Raises UsageError, DiskError.

    As JSON: the conversation, its text in Markdown, the array of training lines, or where the file is.
    """
    form = one_of("--format", form, FORMATS) or FORMATS[0]
    session = _load(name)
    value = _value(session, form, dialect)
    missing = left_out(session) if form == "jsonl" else 0
    if missing:
        replies = "1 reply" if missing == 1 else f"{missing} replies"
        say(f"Left out {replies} whose call was denied, failed or never ended.")
    if output is not None:
        _write_private(output, _text(value, form))
        if as_json:
            emit({"path": str(output), "format": form, "left_out": missing})
        else:
            say(f"Wrote {output}.")
    elif as_json:
        emit(value)
    else:
        text = _text(value, form)
        sys.stdout.write(visible(text) if sys.stdout.isatty() else text)


def remove(names: Sequence[str], *, as_json: bool) -> None:
    """Delete each of `names`; all of them are looked up first."""
    with Sessions() as stored:
        found = {summary.id: summary for summary in map(stored.find, names)}
        for identity in found:
            stored.remove(identity)
    if as_json:
        emit([_summary_json(summary) for summary in found.values()])
        return
    for summary in found.values():
        say(f"Removed {summary.id} {summary.title!r}.")


def _load(name: str) -> StoredSession:
    with Sessions() as stored:
        return stored.load(name)


def _value(session: StoredSession, form: str, dialect: str | None) -> Json:
    """The export as one value: a string, an object, or an array of lines."""
    match form:
        case "markdown":
            return session_markdown(session)
        case "json":
            return session_json(session)
        case _:
            return list(training_lines(session, pick(dialect or session.summary.dialect or DEFAULT)))


def _text(value: Json, form: str) -> str:
    """The export as a file holds it."""
    if isinstance(value, str):
        return value
    if form == "jsonl" and isinstance(value, Sequence):
        return "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in value)
    return f"{json.dumps(value, ensure_ascii=False, indent=2)}\n"


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read. Raises DiskError."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise DiskError(f"Cannot write {path}: {error.strerror}.", "Choose another place.") from None


def _summary_json(summary: SessionSummary) -> dict[str, object]:
    return {name: getattr(summary, name) for name in SessionSummary.__slots__}


def _calls(summary: SessionSummary) -> str:
    return f"{summary.calls} ({summary.unknown} of unknown outcome)" if summary.unknown else str(summary.calls)


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")

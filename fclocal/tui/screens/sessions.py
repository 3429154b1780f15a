"""The stored conversations: find, resume, rename, export, delete."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Input, Static

from fclocal.chat.receipt import call_object, receipt_json
from fclocal.chat.stored import SessionSummary, StoredSession
from fclocal.functions import Json
from fclocal.messages import AssistantMessage, FunctionResult, SystemMessage, UserMessage
from fclocal.tui.screens.side import SideScreen
from fclocal.tui.widgets.table import fill


class SessionScreen(SideScreen):
    """Enter goes on with the conversation under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "rename", "Rename"),
        Binding("e", "export", "Export"),
        Binding("delete", "remove", "Delete"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[SessionSummary] = []
        self._removing = ""

    def compose(self) -> ComposeResult:
        yield Input(placeholder="Search in every message", id="search", compact=True)
        yield DataTable(id="sessions", cursor_type="row", zebra_stripes=True)
        yield Input(placeholder="New title, then Enter", id="title", compact=True)
        yield Static("", id="news", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """List them."""
        self.query_one("#sessions", DataTable).focus()
        self.query_one("#title", Input).display = False
        self._read("")

    @work(exclusive=True, group="sessions", exit_on_error=False)
    async def _read(self, words: str) -> None:
        excerpts = {}
        if words.strip():
            found = await asyncio.to_thread(self.app.store.search, words, limit=100)
            excerpts = {one.session.id: one.excerpt for one in reversed(found)}
            self._rows = list({one.session.id: one.session for one in found}.values())
        else:
            self._rows = list(await asyncio.to_thread(self.app.store.list, limit=500))
        rows = [
            (
                row.title or row.id,
                time.strftime("%Y-%m-%d %H:%M", time.localtime(row.updated)),
                str(row.messages),
                str(row.calls),
                " ".join(excerpts.get(row.id, "").split()),
            )
            for row in self._rows
        ]
        fill(self.query_one("#sessions", DataTable), ("Title", "Changed", "Messages", "Calls", "Found"), rows)
        if not self._rows:
            self.tell("No conversation is stored." if not words.strip() else "Nothing was found.")

    @on(Input.Changed, "#search")
    def search(self, event: Input.Changed) -> None:
        """Search as it is typed."""
        self._read(event.value)

    @on(DataTable.RowSelected)
    @work(exclusive=True, group="session", exit_on_error=False)
    async def resume(self) -> None:
        """Go on with it."""
        stored = await self._load()
        if stored is not None:
            self.app.call_later(self.app.chat.resume, stored)
            self.app.pop_screen()

    def action_rename(self) -> None:
        """Ask for a title."""
        if self._pointed is not None:
            field = self.query_one("#title", Input)
            field.display, field.value = True, self._pointed.title
            field.focus()

    @on(Input.Submitted, "#title")
    @work(exclusive=True, group="session", exit_on_error=False)
    async def renamed(self, event: Input.Submitted) -> None:
        """Take the title."""
        pointed = self._pointed
        event.input.display = False
        if pointed is None:
            return
        await asyncio.to_thread(self.app.store.rename, pointed.id, event.value)
        self._read(self.query_one("#search", Input).value)
        self.query_one("#sessions").focus()

    @work(exclusive=True, group="session", exit_on_error=False)
    async def action_export(self) -> None:
        """Write it to a JSON file in the current folder."""
        stored = await self._load()
        if stored is None:
            return
        file = Path.cwd() / f"fclocal-{stored.summary.id}.json"
        try:
            text = json.dumps(exported(stored), indent=2, ensure_ascii=False)
            await asyncio.to_thread(file.write_text, text, "utf-8", "replace")
        except OSError as error:
            self.tell(f"{file} cannot be written: {error.strerror or error}.")
            return
        self.tell(f"Written to {file}.")

    @work(exclusive=True, group="session", exit_on_error=False)
    async def action_remove(self) -> None:
        """The second press deletes it."""
        pointed = self._pointed
        if pointed is None:
            return
        if self._removing != pointed.id:
            self._removing = pointed.id
            self.tell(f'Press again to delete "{pointed.title}" and everything in it.')
            return
        await asyncio.to_thread(self.app.store.remove, pointed.id)
        self.tell("Deleted.")
        self._read(self.query_one("#search", Input).value)

    @property
    def _pointed(self) -> SessionSummary | None:
        at = self.query_one("#sessions", DataTable).cursor_row
        return self._rows[at] if 0 <= at < len(self._rows) else None

    async def _load(self) -> StoredSession | None:
        pointed = self._pointed
        return await asyncio.to_thread(self.app.store.load, pointed.id) if pointed else None


def exported(stored: StoredSession) -> Json:
    """A whole conversation as JSON: messages in order, calls with their receipts and outcomes."""
    messages: list[Json] = []
    for message in stored.messages:
        match message:
            case SystemMessage(text=text):
                messages.append({"role": "system", "content": text})
            case UserMessage(text=text):
                messages.append({"role": "user", "content": text})
            case FunctionResult(call_id=call_id, content=content, ok=ok, name=name):
                messages.append({"role": "tool", "tool_call_id": call_id, "name": name, "content": content, "ok": ok})
            case AssistantMessage(text=text, calls=calls):
                made: list[Json] = [{"id": call.id, **call_object(call)} for call in calls]
                messages.append({"role": "assistant", "content": text, "calls": made})
    receipts: dict[str, Json] = {one.call.id: receipt_json(one.receipt) for one in stored.calls if one.receipt}
    outcomes: dict[str, Json] = {one.call.id: one.outcome for one in stored.calls}
    summary = stored.summary
    return {
        "id": summary.id,
        "title": summary.title,
        "model": summary.model,
        "messages": messages,
        "outcomes": outcomes,
        "receipts": receipts,
    }

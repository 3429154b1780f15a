"""The terminal app: holds the loaded model and the conversation, and gives both to the screens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType

from fclocal.errors import DiskError, FclocalError
from fclocal.tui.opening import Ask, Opened, Opening
from fclocal.tui.screens.chat import ChatScreen

if TYPE_CHECKING:
    from fclocal.chat.session import Session
    from fclocal.chat.store import Sessions
    from fclocal.messages import Message


class FclocalApp(App[None]):
    """Chat with a model that calls functions. `opening` is called after the first paint.

    `model_given` says that the user named a model, so that nothing has to be offered first.
    """

    TITLE = "fclocal"
    CSS_PATH = "fclocal.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+q", "leave", "Quit", priority=True)]

    def __init__(self, opening: Opening, *, model_given: bool = True) -> None:
        super().__init__()
        self._opening = opening
        self._model_given = model_given
        self._change = asyncio.Event()
        self._wanted: str | None = None
        self._leaving = False
        self._store: Sessions | None = None
        self.opened: Opened | None = None
        self.chat = ChatScreen()

    def on_mount(self) -> None:
        """Paint first, load then."""
        self.push_screen(self.chat)
        self.chat.call_after_refresh(self._hold_model)

    def action_leave(self) -> None:
        """Free the model, then end."""
        self._leaving = True
        if self.opened is None:
            self.exit()
        self._change.set()

    def load(self, model: str) -> None:
        """Put `model` in the place of the loaded one and go on with the conversation."""
        self._wanted = model
        self._change.set()

    @property
    def store(self) -> Sessions:
        """The stored conversations. Raises DiskError."""
        if self._store is None:
            from fclocal.chat.store import Sessions  # deferred: SQLite and the dialects, not for the first paint

            self._store = Sessions()
        return self._store

    def begin_session(self, history: Sequence[Message] = (), *, stored: str | None = None) -> Session:
        """A conversation that is written down, or goes on in the stored one."""
        assert self.opened is not None
        model = self.opened.runtime.model
        try:
            if stored is None:
                record = self.store.record(model=model.name, dialect=model.dialect.name, on_fault=self._disk_fault)
            else:
                record = self.store.go_on(stored, on_fault=self._disk_fault)
        except DiskError as error:
            self._disk_fault(error)
            return self.opened.start(history=history)
        return self.opened.start(history=history, record=record)

    def _disk_fault(self, error: DiskError) -> None:
        self.chat.say_soon(f"The conversation is no longer saved. {error}")

    @work(exclusive=True, group="model")
    async def _hold_model(self) -> None:
        """Load, hold until another model or the end is asked for, and close."""
        model: str | None = None
        while not self._leaving:
            try:
                await self._hold(model)
            except FclocalError as error:
                await self.chat.fail(str(error))
            except (OSError, RuntimeError, MemoryError) as error:
                await self.chat.fail(f"The model could not be loaded: {error}.")
            if self.opened is None and not self._leaving:
                await self._change.wait()
            self.opened = None
            self._change.clear()
            model = self._wanted
        self.exit()

    async def _hold(self, model: str | None) -> None:
        status = self.chat.status
        status.state = "loading the model"

        def progress(done: float) -> None:
            status.state = f"loading the model {done:.0%}"

        async with self._opening(Ask(model, progress)) as opened:
            self.opened = opened
            await self.chat.begin(opened)
            await self._change.wait()
            await self.chat.stop_and_wait()

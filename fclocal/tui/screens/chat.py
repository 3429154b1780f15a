"""The chat screen: what is typed, and the turn that answers it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer

from fclocal.tui.saying import sentence
from fclocal.tui.trace import Trace
from fclocal.tui.widgets.prompt import Prompt
from fclocal.tui.widgets.status import StatusLine
from fclocal.tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from fclocal.chat.decide import Answer, Decision, Waiting
    from fclocal.chat.session import Session
    from fclocal.chat.stored import StoredSession
    from fclocal.tui.app import FclocalApp
    from fclocal.tui.opening import Opened


class ChatScreen(Screen[None]):
    """One conversation. What is typed before the model is loaded waits for it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "Stop"),
        Binding("ctrl+n", "new", "New"),
    ]

    if TYPE_CHECKING:
        app: FclocalApp

    def __init__(self) -> None:
        super().__init__()
        self.session: Session | None = None
        self.trace = Trace()
        self.transcript = Transcript()
        self.status = StatusLine()
        self._typed: list[str] = []
        self._turn: asyncio.Task[None] | None = None

    def compose(self) -> ComposeResult:
        yield self.transcript
        yield Prompt()
        yield self.status
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.query_one(Prompt).focus()

    @property
    def busy(self) -> bool:
        """Whether a turn is under way."""
        return self._turn is not None and not self._turn.done()

    # What the app tells

    async def begin(self, opened: Opened) -> None:
        """A model is loaded: go on with the conversation, and answer what was typed meanwhile."""
        for notice in opened.runtime.notices:
            await self.say(notice)
        model = opened.runtime.model
        self.status.state, self.status.model = "ready", f"{model.name} {model.quant} on {opened.device}"
        if self.session is None:
            self._take(self.app.begin_session())
        else:
            self._take(self.app.continue_session(self.session.history, self.session.record))
        self._next()

    async def say(self, text: str) -> None:
        """Show a sentence of the program itself."""
        await self.transcript.note(text)

    def say_soon(self, text: str) -> None:
        """The same from where nothing can be awaited."""
        self.call_later(self.say, text)

    async def fail(self, text: str) -> None:
        """No model is loaded, and why."""
        self.status.state, self.status.model = "no model", ""
        await self.say(text)

    async def stop_and_wait(self) -> None:
        """End the turn that is under way, if there is one."""
        self.action_stop()
        if self._turn is not None:
            await asyncio.wait([self._turn])

    def type(self, text: str) -> None:
        """Put `text` where the user types."""
        self.query_one(Prompt).insert(text)

    # What the user does

    @on(Prompt.Sent)
    async def sent(self, event: Prompt.Sent) -> None:
        """A message was typed."""
        self._typed.append(event.text)
        await self.transcript.user(event.text)
        self._next()

    @on(Prompt.PasteCut)
    async def paste_cut(self, event: Prompt.PasteCut) -> None:
        """Say that a paste was too long."""
        await self.say(f"The paste had {event.size:,} characters; only the first {event.kept:,} were kept.")

    def action_stop(self) -> None:
        """Stop the reply, or the wait for a decision."""
        if self._turn is not None and self.busy:
            self._turn.cancel()

    async def action_new(self) -> None:
        """Begin another conversation."""
        await self.stop_and_wait()
        self._typed.clear()
        await self.transcript.clear()
        if self.app.opened is not None:
            self._take(self.app.begin_session())

    async def resume(self, stored: StoredSession) -> None:
        """Show a stored conversation and go on with it."""
        await self.stop_and_wait()
        self._typed.clear()
        await self.transcript.clear()
        await self.transcript.retell(stored)
        if self.app.opened is None:
            await self.say("It cannot be gone on with before a model is loaded.")
            return
        self._take(self.app.begin_session(stored.messages, stored=stored.summary.id))

    # A turn

    def _take(self, session: Session) -> None:
        session.decide = self._decide
        self.session = session
        self.trace.follow(session)

    def _next(self) -> None:
        self.status.queue = len(self._typed) if self.busy or self.session is None else 0
        if self.session and self.app.opened and self._typed and not self.busy:
            self._turn = asyncio.create_task(self._converse(self.session, self._typed.pop(0)))

    async def _converse(self, session: Session, text: str) -> None:
        """One turn; what goes wrong ends the turn, not the app."""
        from fclocal.tui.telling import tell  # deferred: no event comes before the first paint

        self.status.state = "working"
        try:
            async with aclosing(session.send(text)) as events:
                async for event in events:
                    await tell(event, self.transcript, self.status, self.trace, context=session.model.engine.context)
        except asyncio.CancelledError:
            await self.say("Stopped.")
        except Exception as error:
            self.log.error(error)
            await self.say(sentence(error))
        finally:
            await self.transcript.end_turn()
            self.status.state = "ready"
            self.call_later(self._next)

    async def _decide(self, waiting: Waiting) -> Decision | Answer:
        """The one callback of a turn: ask in the call's own card."""
        self.status.state = "waiting for you"
        try:
            return await self.transcript.card(waiting.call.id).decide(waiting)
        finally:
            self.status.state = "working"
            self.query(Prompt).focus()

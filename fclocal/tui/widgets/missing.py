"""The field for an argument that nobody gave."""

from __future__ import annotations

from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input, Label

from fclocal.chat.decide import Answer, ArgumentMissing
from fclocal.escapes import visible


class MissingArgument(Vertical):
    """Asks the question and posts `MissingArgument.Given` with a value that fits, or none for an empty line."""

    @dataclass
    class Given(Message):
        """The answer."""

        answer: Answer

    def __init__(self, waiting: ArgumentMissing) -> None:
        super().__init__(classes="missing")
        self._waiting = waiting

    def compose(self) -> ComposeResult:
        yield Label(visible(self._waiting.question), markup=False)
        yield Input(placeholder=visible(self._waiting.argument), id="missing")
        yield Label("Enter answers; an empty line says that there is none.", classes="problem", markup=False)

    def on_mount(self) -> None:
        """Take the keys."""
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def answered(self, event: Input.Submitted) -> None:
        """Hand on a value that fits the schema."""
        from fclocal.chat.grounding import coerce  # deferred: not needed for the first paint
        from fclocal.grammar.check import Problem

        event.stop()
        if not event.value.strip():
            self.post_message(self.Given(Answer(None, given=False)))
            return
        value = coerce(event.value, self._waiting.schema)
        if isinstance(value, Problem):
            self.query_one(".problem", Label).update(visible(value.sentence))
            return
        self.post_message(self.Given(Answer(value)))

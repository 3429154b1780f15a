"""The question whether a call may run, asked in the call's own card: one key or one click decides."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Button, Input, Label

from fclocal.chat.decide import ApprovalNeeded, Decision
from fclocal.escapes import visible
from fclocal.tui.widgets.argument_form import ArgumentForm

GUARD_SECONDS = 0.5


class Approval(Vertical, can_focus=True):
    """Posts `Approval.Decided`. Keys and clicks in the first half second, meant for something else, do not count."""

    KEYS: ClassVar[dict[str, str]] = {"y": "allow", "a": "always", "e": "edit", "n": "deny"}

    @dataclass
    class Decided(Message):
        """What the user decided."""

        decision: Decision

    def __init__(self, waiting: ApprovalNeeded) -> None:
        super().__init__(classes="approval")
        self._waiting = waiting
        self._shown_at = 0.0

    def compose(self) -> ComposeResult:
        yield Label(f"Allow this call? {visible(self._waiting.why)}", markup=False)
        yield self._choices()

    def on_mount(self) -> None:
        """Take the keys, and begin to count."""
        self._ask()

    def on_key(self, event: events.Key) -> None:
        """One key decides."""
        if event.key not in self.KEYS or not self.query("#choices"):
            return
        event.stop()
        self._press(self.KEYS[event.key])

    @on(Button.Pressed, "#choices Button")
    def pressed(self, event: Button.Pressed) -> None:
        """The same by mouse."""
        event.stop()
        self._press(event.button.id or "")

    @on(ArgumentForm.Edited)
    async def edited(self, event: ArgumentForm.Edited) -> None:
        """Run with the edited arguments, or ask again."""
        event.stop()
        if event.arguments is not None:
            self.post_message(self.Decided(Decision(allow=True, arguments=event.arguments)))
            return
        await self.query(ArgumentForm).remove()
        await self.mount(self._choices())
        self._ask()

    @on(Input.Submitted, "#reason")
    def denied(self, event: Input.Submitted) -> None:
        """Deny, with what the user wants the model to know."""
        event.stop()
        self.post_message(self.Decided(Decision(allow=False, reason=event.value.strip())))

    def _ask(self) -> None:
        self._shown_at = time.monotonic()
        self.focus()

    def _press(self, choice: str) -> None:
        if time.monotonic() - self._shown_at < GUARD_SECONDS:
            return
        match choice:
            case "allow":
                self.post_message(self.Decided(Decision(allow=True)))
            case "always":
                self.post_message(self.Decided(Decision(allow=True, remember=True)))
            case "edit":
                self.query("#choices").remove()
                self.mount(ArgumentForm(self._waiting.function, self._waiting.call.arguments))
            case "deny":
                self.query("#choices").remove()
                field = Input(placeholder="Why not? The model reads it; may be empty", id="reason")
                self.mount(field)
                self.call_after_refresh(field.focus)

    @staticmethod
    def _choices() -> Horizontal:
        return Horizontal(
            Button("Allow once (y)", id="allow", variant="success", compact=True),
            Button("This session (a)", id="always", compact=True),
            Button("Edit (e)", id="edit", compact=True),
            Button("Deny (n)", id="deny", variant="error", compact=True),
            id="choices",
            classes="buttons",
        )

"""The question whether an MCP server may be started, or its tools be offered."""

from __future__ import annotations

import time
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from fclocal.escapes import visible
from fclocal.tui.widgets import approval


class TrustScreen(ModalScreen[bool]):
    """Gives True for yes. Keys and clicks in the first half second, meant for something else, do not count."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
    ]

    def __init__(self, headline: str, facts: tuple[str, ...], question: str) -> None:
        super().__init__(classes="modal")
        self._text = Text(visible(headline), style="bold")
        self._facts = "\n".join(visible(fact) for fact in facts)
        self._question = question
        self._shown_at = 0.0

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(self._text, markup=False)
            with VerticalScroll(classes="facts"):
                yield Static(Text(self._facts), markup=False)
            yield Static(self._question, markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Yes (y)", id="yes", compact=True)
                yield Button("No (n)", id="no", variant="error", compact=True)

    def on_mount(self) -> None:
        """No is what an unthinking Enter means."""
        self._shown_at = time.monotonic()
        self.query_one("#no").focus()

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """The same by mouse."""
        self.action_answer(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """Decide."""
        if time.monotonic() - self._shown_at >= approval.GUARD_SECONDS:
            self.dismiss(yes)

"""The first-run screen: begin with the built-in model at once, or get the best one for this machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from fclocal.escapes import visible
from fclocal.tui.saying import sentence

if TYPE_CHECKING:
    from fclocal.tui.app import FclocalApp

TEXT = """Welcome to fclocal: models on this machine that call functions.

The model proposes a call; you see where each argument came from and decide. The built-in model is tiny and knows how \
to call functions, and nothing about the world. It works offline and is loading now."""


class WelcomeScreen(ModalScreen[None]):
    """Enter begins; the model loads behind it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "begin", "Begin")]

    if TYPE_CHECKING:
        app: FclocalApp

    def __init__(self) -> None:
        super().__init__(classes="modal")

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(TEXT, markup=False)
            yield Static("", id="best", markup=False)
            yield Button("Begin with the built-in model (Enter)", id="begin", variant="success", compact=True)
            yield Button("Choose or download another model (F2)", id="choose", compact=True)

    def on_mount(self) -> None:
        """Look for the best model beside the screen."""
        self.query_one("#begin").focus()
        self.call_after_refresh(self._find_best)

    @work
    async def _find_best(self) -> None:
        try:
            best = await asyncio.to_thread(_best_sentence)
        except Exception as error:
            best = sentence(error)
        for line in self.query("#best").results(Static):  # none, when the screen was left meanwhile
            line.update(f"\n{visible(best)}\n")

    def on_key(self, event: events.Key) -> None:
        """Whoever types has begun."""
        if event.character is not None and event.is_printable:
            event.stop()
            self.dismiss()
            self.app.chat.type(event.character)

    def on_paste(self, event: events.Paste) -> None:
        """The same for a paste."""
        self.dismiss()
        self.app.chat.type(event.text)

    @on(Button.Pressed, "#begin")
    def action_begin(self) -> None:
        """To the chat."""
        self.dismiss()

    @on(Button.Pressed, "#choose")
    def choose(self) -> None:
        """To the models."""
        self.dismiss()
        self.app.call_later(self.app.action_models)


def _best_sentence() -> str:
    from fclocal.tui.model_rows import read_shelf  # deferred: the engine's modules load beside the screen

    best = read_shelf().best
    if best is None or best.entry is None:
        return "No larger model of the catalog fits into the free memory of this machine."
    return f"The best for this machine: {best.name} ({best.entry.title}), {best.size_text} to download."

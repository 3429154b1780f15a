"""What the screens beside the chat share: the way back, work beside the event loop, and a line that says what came of
it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from fclocal.escapes import visible
from fclocal.tui.saying import sentence

if TYPE_CHECKING:
    from fclocal.tui.app import FclocalApp


class SideScreen(Screen[None]):
    """Its workers are made with `exit_on_error=False`: what one raises is told in `#news`, and nowhere once the screen
    is gone."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.pop_screen", "Back")]

    if TYPE_CHECKING:
        app: FclocalApp

    def tell(self, text: str) -> None:
        """Say what was done, or why not; a screen that is being taken apart says nothing."""
        for news in self.query("#news").results(Static):
            news.update(Text(visible(text)))

    @on(Worker.StateChanged)
    def _worker_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR:
            self.tell(sentence(event.worker.error))

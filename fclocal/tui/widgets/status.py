"""The line at the bottom: model, where it runs, how full the context is, how fast it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.reactive import reactive
from textual.widgets import Static

from fclocal.escapes import visible

if TYPE_CHECKING:
    from fclocal.events import Timings


class StatusLine(Static):
    """Shows `state`, the model and the figures of the last reply; `queue` messages wait."""

    state: reactive[str] = reactive("starting")
    model: reactive[str] = reactive("")
    figures: reactive[str] = reactive("")
    queue: reactive[int] = reactive(0)
    download: reactive[str] = reactive("")

    def __init__(self) -> None:
        super().__init__(id="status", markup=False)

    def render(self) -> Text:
        """One line; what does not fit is cut at the right."""
        waiting = f"{self.queue} waiting to be sent" if self.queue else ""
        parts = (self.state, waiting, self.download, visible(self.model), self.figures)
        return Text(" | ".join(part for part in parts if part), no_wrap=True, overflow="ellipsis")

    def count(self, timings: Timings, context: int) -> None:
        """Figures of a reply in a context of so many tokens."""
        reply = timings.sampled_tokens + timings.forced_tokens
        used = timings.prompt_tokens + reply
        speed = f", {reply / timings.reply_ms * 1000:.0f} tokens/s" if timings.reply_ms else ""
        self.figures = f"context {used:,}/{context:,} ({100 * used // context} %){speed}"

"""Where messages are typed: Enter sends, Shift+Enter or Ctrl+J begins a line, Up at the top recalls what was sent."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.message import Message
from textual.widgets import TextArea

MAX_PASTE = 200_000


class Prompt(TextArea):
    """A multi-line input with a history. Posts `Prompt.Sent`."""

    @dataclass
    class Sent(Message):
        """The user sent `text`."""

        text: str

    @dataclass
    class PasteCut(Message):
        """A paste of `size` characters was cut to `kept`."""

        size: int
        kept: int

    def __init__(self) -> None:
        super().__init__(id="prompt", soft_wrap=True, show_line_numbers=False, tab_behavior="focus")
        self.border_title = "Message"
        self._sent: list[str] = []
        self._recalled = 0
        self._draft = ""

    async def _on_key(self, event: events.Key) -> None:
        match event.key:
            case "enter":
                self._send()
            case "shift+enter" | "ctrl+j":
                self.insert("\n")
            case "up" if self.cursor_location[0] == 0 and self._sent:
                self._recall(-1)
            case "down" if self._recalled and self.cursor_location[0] == self.document.line_count - 1:
                self._recall(1)
            case _:
                await super()._on_key(event)
                return
        event.stop()
        event.prevent_default()

    async def _on_paste(self, event: events.Paste) -> None:
        """A huge paste would freeze the screen and could never fit a context: cut it, and say so."""
        if len(event.text) > MAX_PASTE:
            event.prevent_default()
            event.stop()
            self.insert(event.text[:MAX_PASTE])
            self.post_message(self.PasteCut(len(event.text), MAX_PASTE))
            return
        await super()._on_paste(event)

    def _send(self) -> None:
        text = self.text
        if not text.strip():
            return
        self._sent.append(text)
        self._recalled = 0
        self.clear()
        self.post_message(self.Sent(text))

    def _recall(self, step: int) -> None:
        """`_recalled` counts back from the end: 0 is what was being typed, -1 the last message."""
        if self._recalled == 0:
            self._draft = self.text
        self._recalled = max(-len(self._sent), min(0, self._recalled + step))
        self.text = self._sent[self._recalled] if self._recalled else self._draft
        self.move_cursor(self.document.end)

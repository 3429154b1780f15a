"""The conversation on the screen: messages, streamed replies and call cards, in order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.text import Text
from textual.containers import VerticalScroll
from textual.widgets import Static

from fclocal.escapes import visible

if TYPE_CHECKING:
    from textual.widgets.markdown import MarkdownStream

    from fclocal.chat.stored import StoredSession
    from fclocal.tui.widgets.call_card import CallCard


class Transcript(VerticalScroll, can_focus=False):
    """Shows what it is given; keeps the card of each call by its id."""

    def __init__(self) -> None:
        super().__init__(id="transcript")
        self._cards: dict[str, CallCard] = {}
        self._by_index: dict[int, CallCard] = {}
        self._stream: MarkdownStream | None = None
        self._thoughts: Static | None = None
        self._thought = ""

    def on_mount(self) -> None:
        """Follow what is added, until the user scrolls away."""
        self.anchor()

    async def clear(self) -> None:
        """Begin with an empty screen."""
        await self.end_turn()
        self._cards.clear()
        await self.remove_children()

    async def user(self, text: str) -> None:
        """What the user said."""
        await self.mount(UserText(visible(text)))
        self.anchor()

    async def note(self, text: str) -> None:
        """A sentence that is neither the user's nor the model's."""
        await self.end_text()
        if self.is_attached:
            await self.mount(Static(Text(visible(text)), markup=False, classes="note"))

    async def text(self, text: str) -> None:
        """More of the model's answer, as Markdown."""
        if self._stream is None:
            from textual.widgets import Markdown  # deferred: its parser is not for the first paint

            self._thoughts = None
            answer = Markdown(classes="answer", open_links=False)
            await self.mount(answer)
            self._stream = Markdown.get_stream(answer)
        await self._stream.write(visible(text))

    async def thinking(self, text: str) -> None:
        """More of the model's thinking, folded under its own heading."""
        if self._thoughts is None:
            from textual.widgets import Collapsible  # deferred, as above

            self._thoughts, self._thought = Static(markup=False), ""
            await self.mount(Collapsible(self._thoughts, title="Thinking", collapsed=False, classes="thinking"))
        self._thought += visible(text)
        self._thoughts.update(Text(self._thought))

    async def end_text(self) -> None:
        """The answer, or the stretch before a call, is whole."""
        self._thoughts = None
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await stream.stop()

    async def end_turn(self) -> None:
        """Nothing more comes: calls that are still open were stopped."""
        await self.end_text()
        self._by_index.clear()
        for card in self._cards.values():
            if card.is_attached:
                card.stop_if_open()

    async def retell(self, stored: StoredSession) -> None:
        """A conversation from the past, as it was."""
        from textual.widgets import Markdown  # deferred, as above

        from fclocal.messages import AssistantMessage, FunctionResult, UserMessage

        told = {one.call.id: one for one in stored.calls}
        for message in stored.messages:
            match message:
                case UserMessage(text=text):
                    await self.user(text)
                case AssistantMessage(text=text, calls=calls):
                    if text.strip():
                        await self.mount(Markdown(visible(text), classes="answer", open_links=False))
                    for index, call in enumerate(calls):
                        await self.start_call(index, call.id, call.name)
                        await self.card(call.id).ready(call, told[call.id].receipt if call.id in told else None)
                case FunctionResult(call_id=call_id) if call_id in self._cards:
                    one = told.get(call_id)
                    outcome = one.outcome if one else "open"
                    await self.card(call_id).finished(message, outcome, (one.ms if one else None) or 0.0)
        for note in stored.notes:
            await self.note(note)
        await self.end_turn()

    async def start_call(self, index: int, call_id: str, name: str) -> None:
        """A new card."""
        from fclocal.tui.widgets.call_card import CallCard  # deferred, as above

        await self.end_text()
        card = CallCard(call_id, name)
        self._cards[call_id] = self._by_index[index] = card
        await self.mount(card)

    def card(self, call_id: str) -> CallCard:
        """The card of a call."""
        return self._cards[call_id]

    def card_at(self, index: int) -> CallCard:
        """The card of call number `index` of the reply that is under way."""
        return self._by_index[index]

    def on_call_card_looked(self, event: CallCard.Looked) -> None:
        """Mark the words that the arguments of a call came from."""
        above = self.query(UserText)
        for said in above:
            said.mark(event.texts)


class UserText(Static):
    """What the user said; the words that arguments came from can be marked."""

    def __init__(self, text: str) -> None:
        super().__init__(Text(text), markup=False, classes="user")
        self._text = text

    def mark(self, words: Iterable[str]) -> None:
        """Underline each of `words` where it stands."""
        text = Text(self._text)
        for word in words:
            at = self._text.find(word)
            if at >= 0:
                text.stylize("bold underline", at, at + len(word))
        self.update(text)

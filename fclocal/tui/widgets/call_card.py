"""One function call on the screen: its arguments as they arrive, its receipt, the decision, what came of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.markup import escape
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Collapsible, Static

from fclocal.chat.decide import Answer, ApprovalNeeded, ArgumentMissing, Decision, Waiting
from fclocal.chat.receipt import call_json, origin_words, plain, receipt_lines
from fclocal.escapes import visible
from fclocal.events import Receipt
from fclocal.functions import Json
from fclocal.messages import FunctionCall, FunctionResult
from fclocal.tui.widgets.approval import Approval
from fclocal.tui.widgets.missing import MissingArgument
from fclocal.tui.widgets.result_view import ResultView

MAX_VALUE = 2_000
MAX_STREAMED = 600  # of arguments that are still being written: each token lays the card out anew
COLOURS = {"user": "green", "result": "cyan", "default": "blue", "inferred": "yellow", "unsupported": "bold red"}
CLOSED = ("done", "failed", "denied", "unanswered", "cached", "proposed", "stopped", "reused", "unknown", "open")


class CallCard(Vertical, can_focus=True):
    """Shows a call and takes the decision about it. The state is a word in its title."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy_call", "Copy call"),
        Binding("r", "copy_result", "Copy result"),
    ]

    @dataclass
    class Looked(Message):
        """The user looks at a card, or no longer: these words are what its arguments came from."""

        texts: tuple[str, ...]

    def __init__(self, call_id: str, name: str) -> None:
        super().__init__(classes="card")
        self.call_id = call_id
        self.call_name = name
        self.state = "proposed"
        self._text = ""
        self._call: FunctionCall | None = None
        self._receipt: Receipt | None = None
        self._result = ""
        self._decided: asyncio.Future[Decision | Answer] | None = None
        self._clock: Timer | None = None

    def compose(self) -> ComposeResult:
        yield Static(classes="arguments", markup=False)
        yield Vertical(classes="receipt")
        yield Vertical(classes="decision")
        yield Vertical(classes="outcome")

    def on_mount(self) -> None:
        """The name is all that is known yet."""
        self._set(self.state)

    # What happens to the call

    def add_arguments(self, text: str) -> None:
        """More of the arguments' JSON."""
        self.restart_arguments(self._text + text)

    def restart_arguments(self, text: str) -> None:
        """The final check refused a value: begin again from `text`."""
        self._text = text
        hidden = len(text) - MAX_STREAMED
        self._show(Text(visible(text) if hidden <= 0 else f"... {visible(text[hidden:])}"))

    async def ready(self, call: FunctionCall, receipt: Receipt | None) -> None:
        """The call is whole: colour each argument by its source and fold the receipt under it."""
        self._call, self._receipt = call, receipt
        self._show(_arguments(call.arguments, receipt))
        if receipt is None:
            return
        lines = Static(Text("\n".join(visible(line) for line in receipt_lines(receipt))), markup=False)
        folded = Collapsible(lines, title=_summary(receipt), collapsed=True)
        await self.query_one(".receipt").mount(folded)

    def running(self, call: FunctionCall) -> None:
        """The function runs now, with these arguments."""
        if self._call != call:
            self._call = call
            self._show(_arguments(call.arguments, self._receipt))
        began = time.monotonic()
        self._set("running")
        self._clock = self.set_interval(0.1, lambda: self._set("running", f"{time.monotonic() - began:.1f} s"))

    async def finished(self, result: FunctionResult, outcome: str, ms: float) -> None:
        """What came of it."""
        self._set(outcome, f"{ms:.0f} ms" if outcome in ("done", "failed") else "")
        self._result = result.content
        await self.query_one(".decision").remove_children()
        if outcome != "proposed":
            await self.query_one(".outcome").mount(ResultView(result.content))

    def stop_if_open(self) -> None:
        """The turn ended before the call did."""
        if self.state not in CLOSED:
            self._set("stopped")
            self.query_one(".decision").remove_children()

    # The decision

    async def decide(self, waiting: Waiting) -> Decision | Answer:
        """Show the question in place and wait for the answer."""
        self._decided = asyncio.get_running_loop().create_future()
        self._set("waiting")
        box = self.query_one(".decision")
        await box.remove_children()
        match waiting:
            case ApprovalNeeded():
                self._show(_arguments(waiting.call.arguments, self._receipt))
                await box.mount(Approval(waiting))
            case ArgumentMissing():
                await box.mount(MissingArgument(waiting))
        self.call_after_refresh(box.scroll_visible, animate=False)
        try:
            return await self._decided
        finally:
            self._decided = None
            box.remove_children()

    @on(Approval.Decided)
    def decided(self, event: Approval.Decided) -> None:
        """The user allowed or denied it."""
        event.stop()
        self._settle(event.decision)

    @on(MissingArgument.Given)
    def given(self, event: MissingArgument.Given) -> None:
        """The user gave an argument, or has none."""
        event.stop()
        self._settle(event.answer)

    def _settle(self, answer: Decision | Answer) -> None:
        if self._decided and not self._decided.done():
            self._decided.set_result(answer)

    # What the user looks at and takes along

    def on_focus(self, event: events.Focus) -> None:
        """Point out where the arguments came from."""
        origins = self._receipt.origins.values() if self._receipt else ()
        self.post_message(self.Looked(tuple(visible(origin.text) for origin in origins if origin.text)))

    def on_blur(self, event: events.Blur) -> None:
        """No longer."""
        self.post_message(self.Looked(()))

    def action_copy_call(self) -> None:
        """The call as JSON, to the clipboard."""
        if self._call is not None:
            self.app.copy_to_clipboard(call_json(self._call))
            self.notify("The call is in the clipboard.", markup=False)

    def action_copy_result(self) -> None:
        """The result as the function gave it, to the clipboard."""
        if self._result:
            self.app.copy_to_clipboard(self._result)
            self.notify("The result is in the clipboard.", markup=False)

    # What is shown

    def _show(self, text: Text) -> None:
        self.query_one(".arguments", Static).update(text)

    def _set(self, state: str, detail: str = "") -> None:
        self.state = state
        if state != "running" and self._clock is not None:
            self._clock.stop()
            self._clock = None
        self.border_title = escape(f"{visible(self.call_name)}: {state}{f' {detail}' if detail else ''}")
        for word in ("waiting", "running", "done", "failed", "denied"):
            self.set_class(state == word, word)


def _arguments(arguments: Mapping[str, Json], receipt: Receipt | None) -> Text:
    """One argument a line, its value in the colour of its source, and where it came from."""
    text = Text()
    for name, value in arguments.items():
        origin = receipt.origins.get(name) if receipt else None
        shown = visible(json.dumps(plain(value), ensure_ascii=False))
        if len(shown) > MAX_VALUE:
            shown = f"{shown[:MAX_VALUE]} ... {len(shown) - MAX_VALUE:,} more characters"
        text.append(f"{visible(name)} = ")
        text.append(shown, style=COLOURS[origin.source] if origin else "")
        if origin:
            text.append(f"  {visible(origin_words(origin))}", style="dim")
        text.append("\n")
    text.rstrip()
    return text if arguments else Text("no arguments", style="dim")


def _summary(receipt: Receipt) -> str:
    valid = "valid" if receipt.valid else "not valid"
    tokens = f"{receipt.tokens_sampled} sampled, {receipt.tokens_forced} forced"
    return f"{valid}, grammar {receipt.grammar}, {tokens}, {receipt.ms:.0f} ms"

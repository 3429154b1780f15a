"""The inspector: exact prompt, grammar, tokens with their probabilities, and what fills the context."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import replace

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Footer, Static, TabbedContent, TabPane

from fclocal.chat.budget import Ledger
from fclocal.chat.model import Model
from fclocal.chat.reply import ReplyRequest, grammar, prompt
from fclocal.escapes import visible
from fclocal.events import TokenScore
from fclocal.tui.screens.side import SideScreen

MAX_SHOWN = 100_000
BAR = 40
NAMES = 28
LEVELS = ((0.9, "green"), (0.5, "yellow"), (0.0, "red"))


class InspectorScreen(SideScreen):
    """Shows the last reply; before the first one, what the next message would be answered with."""

    def compose(self) -> ComposeResult:
        with TabbedContent():
            for name in ("Context", "Prompt", "Tokens", "Grammar"):
                with TabPane(name, id=f"tab-{name.lower()}"), VerticalScroll():
                    yield Static("Nothing was said yet.", id=f"shown-{name.lower()}", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Work it out beside the screen."""
        self._read()

    @work(exclusive=True, exit_on_error=False)
    async def _read(self) -> None:
        trace, session = self.app.chat.trace, self.app.chat.session
        if session is None:
            return
        messages = trace.messages or tuple(session.history)
        if not messages:
            return
        tools = await session.toolset.list()
        request = replace(session.settings.request, messages=messages, functions=tuple(tool.function for tool in tools))
        book = await asyncio.to_thread(prompt, session.model, request)
        lark = await asyncio.to_thread(_grammar_text, session.model, request)
        self._put("context", context_bar(book, session.model.engine.context))
        pieces = (session.model.engine.detokenize((token,)).decode("utf-8", "replace") for token in book.tokens)
        self._put("prompt", prompt_text(book, "|".join(pieces)))
        self._put("tokens", token_text(trace.tokens))
        self._put("grammar", Text(visible(lark[:MAX_SHOWN])))

    def tell(self, text: str) -> None:
        """In the place of the context."""
        self._put("context", Text(visible(text)))

    def _put(self, name: str, text: Text) -> None:
        for shown in self.query(f"#shown-{name}").results(Static):
            shown.update(text)


def context_bar(book: Ledger, context: int) -> Text:
    """The parts of the prompt, in order, as shares of the context."""
    text = Text(f"{len(book.tokens):,} of {context:,} tokens\n\n", style="bold")
    for part, count in _merged(book.parts).items():
        cells = max(1, round(BAR * count / context)) if count else 0
        text.append(f"{visible(part):<{NAMES}}", style="not bold").append(f"{count:>8,}  ", style="not bold")
        text.append("#" * cells + "\n", style="cyan not bold")
    free = max(0, context - len(book.tokens))
    return text.append(f"{'free':<{NAMES}}{free:>8,}  {'.' * round(BAR * free / context)}", style="dim not bold")


def prompt_text(book: Ledger, pieces: str) -> Text:
    """The exact text, then the same with a bar between tokens."""
    text = Text("Text\n", style="bold").append(visible(book.text[:MAX_SHOWN]), style="not bold")
    return text.append("\n\nTokens\n").append(visible(pieces[:MAX_SHOWN]), style="not bold")


def token_text(tokens: list[TokenScore]) -> Text:
    """The reply token by token: forced ones dim, sampled ones in the colour of their probability, then a list."""
    text = Text("Forced by the grammar: dim. Sampled: by probability, ")
    for least, colour in LEVELS:
        text.append(f"{least:.0%} and more  ", style=colour)
    text.append("\n\n")
    for token in tokens:
        text.append(_piece(token), style=_style(token))
    text.append("\n\n")
    for index, token in enumerate(tokens):
        how = "forced" if token.logprob is None else f"sampled, p {math.exp(token.logprob):.3f}"
        text.append(f"{index:>5}  {_piece(token)!r:<24} {how}\n", style=_style(token))
    return text


def _grammar_text(model: Model, request: ReplyRequest) -> str:
    return grammar(model, request) or "Nothing constrains the reply."


def _merged(parts: Mapping[str, int]) -> dict[str, int]:
    return {part: count for part, count in parts.items() if count}


def _piece(token: TokenScore) -> str:
    return visible(token.piece.decode("utf-8", "replace"))


def _style(token: TokenScore) -> str:
    if token.logprob is None:
        return "dim"
    probability = math.exp(token.logprob)
    return next(colour for least, colour in LEVELS if probability >= least)

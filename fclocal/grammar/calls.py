"""The grammar of one turn, as llguidance Lark text. Knows call syntax and compiled schemas, not models or tokens."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from fclocal.errors import UsageError
from fclocal.functions import JsonObject
from fclocal.grammar.check import Problem
from fclocal.grammar.narrowing import narrowed
from fclocal.grammar.rules import INDENT_KEY, quote
from fclocal.grammar.schema import CompiledSchema, compile_value
from fclocal.grammar.syntax import CallSyntax

MAX_CALLS = 8
RESERVE_SLACK = 16
MAX_RESERVE = 256

THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"


@dataclass(frozen=True, slots=True)
class NamedChoice:
    """This one function must be called."""

    name: str


Choice: TypeAlias = Literal["auto", "required", "none"] | NamedChoice


@dataclass(frozen=True, slots=True)
class TurnGrammar:
    """What one reply may be.

    `lark` is llguidance Lark text; `reserve` is the number of tokens to keep back for closing a call that is under
    way (0 when no call can be under way).
    """

    lark: str
    reserve: int


def turn_grammar(
    offered: Sequence[tuple[str, CompiledSchema]],
    *,
    syntax: CallSyntax,
    choice: Choice = "auto",
    allowed: Collection[str] | None = None,
    max_calls: int = MAX_CALLS,
    special: Collection[str] = (),
    thinking: bool = False,
    text: JsonObject | None = None,
) -> TurnGrammar | None:
    """The grammar of a reply to `offered` functions (name, compiled schema), or None when nothing is to be enforced.

    `auto`: text, or calls, or text and then calls. `required`: one to `max_calls` calls. `none`: text that cannot begin
    a call. A NamedChoice: exactly one call of that function. `allowed` narrows the functions that may be called, and
    leaves the text branch as it is. `special` are the texts of the vocabulary's special tokens that occur in `syntax`
    or in the marks of thinking: they are matched as tokens, not as text. `thinking` admits `<think>...</think>` first.
    `text` is a schema: a text reply is then one JSON value of it, which nothing follows. Raises UsageError when the
    choice leaves no function to call, BrokenSchema for `text`.
    """
    callable_ = _callable(offered, choice, allowed)
    if text is not None and choice in ("auto", "none") and not callable_:
        return json_grammar(text, special=special, thinking=thinking)
    if not offered or (choice == "auto" and not callable_):
        return None
    writer = _Writer(syntax, frozenset(special), thinking=thinking)
    if choice == "none":
        return writer.finish(writer.text(), 0)
    body = writer.body(callable_)
    reserve = _reserve(callable_, syntax)
    more = 0 if isinstance(choice, NamedChoice) else max(0, max_calls - 1)
    if choice != "auto":
        return writer.finish(writer.calls(body, more), reserve)
    if text is not None:
        compiled = compile_value(text)
        reserve = max(reserve, min(MAX_RESERVE, compiled.closing + RESERVE_SLACK))
        return writer.finish(f"{writer.value(compiled)} | {writer.calls(body, more)}", reserve)
    return writer.finish(f"{writer.text()} | {writer.led_calls(body, more)}", reserve)


def json_grammar(schema: JsonObject | bool, *, special: Collection[str] = (), thinking: bool = False) -> TurnGrammar:
    """A reply that is one JSON value of `schema` and nothing else, on one line. Raises BrokenSchema."""
    compiled = compile_value(schema)
    writer = _Writer(None, frozenset(special), thinking=thinking)
    return writer.finish(writer.value(compiled), min(MAX_RESERVE, compiled.closing + RESERVE_SLACK))


def narrow(
    compiled: CompiledSchema,
    *,
    kept: str,
    syntax: CallSyntax,
    problems: Sequence[Problem] = (),
    special: Collection[str] = (),
) -> TurnGrammar:
    """The grammar of a last try at a call that the final check refused before.

    The reply goes on from `kept`, the text up to where the arguments begin, with arguments of a smaller language that
    is valid wherever such a one is found (`problems` say which arguments to cut down first), and ends with that call.
    """
    compiled = narrowed(compiled, problems)
    writer = _Writer(syntax, frozenset(special))
    closing = writer.literal(syntax.closing)
    start = f"{writer.literal(kept)} {writer.value(compiled)} {closing}"
    return writer.finish(start, _reserve([("", compiled)], syntax))


def _callable(
    offered: Sequence[tuple[str, CompiledSchema]], choice: Choice, allowed: Collection[str] | None
) -> list[tuple[str, CompiledSchema]]:
    if choice == "none":
        return []
    found = [(name, compiled) for name, compiled in offered if allowed is None or name in allowed]
    if isinstance(choice, NamedChoice):
        found = [(name, compiled) for name, compiled in found if name == choice.name]
        if not found:
            raise UsageError(f"No function {choice.name!r} is offered.", "Offer it, or choose another.")
    if choice == "required" and not found:
        raise UsageError("A call is required, but no function may be called.", "Offer at least one function.")
    return found


def _reserve(functions: Iterable[tuple[str, CompiledSchema]], syntax: CallSyntax) -> int:
    """Tokens that close any call: a token is at least a byte."""
    around = len((syntax.after_name + syntax.closing).encode()) + RESERVE_SLACK
    longest = max((len(name.encode()) + _closing(compiled, syntax) for name, compiled in functions), default=0)
    return min(MAX_RESERVE, longest + around)


def _closing(compiled: CompiledSchema, syntax: CallSyntax) -> int:
    """Bytes that end the arguments from anywhere, with the line and the indent of each needed key."""
    if syntax.layout == "one-line" or not isinstance(compiled.minimal, Mapping):
        return compiled.closing
    return compiled.closing + len(INDENT_KEY) * (len(compiled.minimal) + 1)


class _Writer:
    """Collects the rules of one grammar. Special tokens inside literals become token references."""

    def __init__(self, syntax: CallSyntax | None, special: frozenset[str], *, thinking: bool = False) -> None:
        self.syntax = syntax
        self.special = sorted(special, key=len, reverse=True)
        self.thinking = thinking
        self.rules: dict[str, str] = {}

    def literal(self, text: str) -> str:
        """`text` as a sequence of string literals and special tokens; empty text is the empty string literal."""
        if not self.special:
            return quote(text)
        pieces = re.split("(" + "|".join(map(re.escape, self.special)) + ")", text)
        found = [piece if piece in self.special else quote(piece) for piece in pieces if piece]
        return " ".join(found) or quote("")

    def value(self, compiled: CompiledSchema) -> str:
        self.rules |= compiled.rules
        indented = self.syntax is not None and self.syntax.layout == "indented"
        return compiled.indented if indented else compiled.one_line

    def body(self, functions: Sequence[tuple[str, CompiledSchema]]) -> str:
        """Rule name of everything after the opening of a call."""
        assert self.syntax is not None
        names = []
        for index, (name, compiled) in enumerate(functions):
            rule = f"call_{index}"
            after = self.literal(name + self.syntax.after_name)
            self.rules[rule] = f"{after} {self.value(compiled)} {self.literal(self.syntax.closing)}"
            names.append(rule)
        self.rules["body"] = " | ".join(names)
        return "body"

    def more(self, body: str, count: int) -> str:
        assert self.syntax is not None
        if count == 0:
            return ""
        self.rules["another"] = f"{self.literal(self.syntax.between + self.syntax.opening)} {body}"
        return f" another{{0,{count}}}"

    def calls(self, body: str, more: int) -> str:
        assert self.syntax is not None
        self.rules["calls"] = f"{self.literal(self.syntax.opening)} {body}{self.more(body, more)}"
        return "calls"

    def text(self) -> str:
        """Rule name of a reply in text: not blank, and nowhere the beginning of a call."""
        self.rules["text"] = "SAFE"
        self.rules["SAFE"] = f"{self._no_lead()} & /(?s:.*)\\S(?s:.*)/"
        return "text"

    def led_calls(self, body: str, more: int) -> str:
        """Rule name of calls that any text may precede."""
        assert self.syntax is not None
        opening = self.syntax.opening
        if any(text in opening for text in self.special):
            self.rules["LEAD"] = self._no_lead()
            self.rules["led"] = f"LEAD? {self.literal(opening)} {body}{self.more(body, more)}"
            return "led"
        self.rules["lead[lazy]"] = "LEAD"
        self.rules["LEAD"] = f"({self._no_lead()}) {quote(opening)}"
        self.rules["led"] = f"lead {body}{self.more(body, more)}"
        return "led"

    def _no_lead(self) -> str:
        assert self.syntax is not None
        text = f"/(?s:.*)/ & ~/(?s:.*){_slashed(self.syntax.lead)}(?s:.*)/"
        if self.thinking and THINK_OPEN not in self.special:
            text += f" & ~/{THINK_OPEN}(?s:.*)/"
        return text

    def finish(self, start: str, reserve: int) -> TurnGrammar:
        if self.thinking:
            start = f"({self._thought()})? ({start})"
        lines = ["%llguidance {}", f"start: {start}"]
        lines += [f"{name}: {body}" for name, body in self.rules.items()]
        return TurnGrammar("\n".join(lines) + "\n", reserve)

    def _thought(self) -> str:
        if THINK_CLOSE in self.special:
            self.rules["THOUGHT"] = "/(?s:.*)/"
            return f"{self.literal(THINK_OPEN)} THOUGHT {THINK_CLOSE} /\\n*/"
        self.rules["thought[lazy]"] = "THOUGHT"
        self.rules["THOUGHT"] = f"/(?s:.*){_slashed(re.escape(THINK_CLOSE))}/"
        return f"{self.literal(THINK_OPEN)} thought /\\n*/"


def _slashed(pattern: str) -> str:
    return re.sub(r"(?<!\\)/", r"\\/", pattern)

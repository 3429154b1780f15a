"""What a prompt family must offer: messages and functions to prompt segments, and the parser of its replies.

Knows text. Tokenising is the engine's, building the grammar is `fclocal.grammar`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fclocal.dialects.escape import dump, escape_markers
from fclocal.dialects.reply import ReplyParser
from fclocal.functions import Function, Json
from fclocal.grammar.syntax import CallSyntax
from fclocal.messages import AssistantMessage, FunctionResult, Message

MARKERS = "markers"
FUNCTIONS = "functions"
SYSTEM = "system"
REPLY_PREFIX = "reply prefix"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the prompt.

    `part` is its label in the context ledger. Control tokens spelled in `text` become tokens only if it is `trusted`:
    that holds for the dialect's own markers and for nothing that anybody wrote or described. Tokenise plain text
    across segment borders: models were trained on the merges there.
    """

    text: str
    part: str
    trusted: bool = False


class Dialect(Protocol):
    """One prompt family. `stop` are the texts of tokens that end a reply beside the vocabulary's own end token."""

    @property
    def name(self) -> str: ...

    @property
    def syntax(self) -> CallSyntax: ...

    @property
    def stop(self) -> tuple[str, ...]: ...

    def render(
        self, messages: Sequence[Message], functions: Sequence[Function], *, eos: str, reply_prefix: str = ""
    ) -> tuple[Segment, ...]:
        """The prompt without BOS, ready for the reply. `eos` is the text of the vocabulary's end token."""

    def parser(self, names: Collection[str], *, optional: Collection[str] = ()) -> ReplyParser:
        """A parser for one reply. `names` are the functions offered, `optional` those that may be called without
        arguments."""


def prompt_text(segments: Sequence[Segment]) -> str:
    """The whole prompt as text, without BOS."""
    return "".join(segment.text for segment in segments)


def write_call(syntax: CallSyntax, name: str, arguments: Mapping[str, Json]) -> str:
    """A call as the model itself writes it in this syntax."""
    quoted = dump(name)[1:-1]
    return f"{syntax.opening}{quoted}{syntax.after_name}{_write_arguments(syntax, arguments)}{syntax.closing}"


def write_reply(syntax: CallSyntax, message: AssistantMessage, *, escaped: Sequence[str] = ()) -> str:
    """An earlier reply as the model wrote it: its text, then its calls, with the markers `escaped` made harmless."""
    constant = CallSyntax("", syntax.after_name, "", "", "", syntax.layout)
    bodies = (escape_markers(write_call(constant, call.name, call.arguments), escaped) for call in message.calls)
    written = syntax.between.join(f"{syntax.opening}{body}{syntax.closing}" for body in bodies)
    text = message.text.strip()
    return f"{text}{syntax.between}{written}" if text and written else text + written


def result_name(result: FunctionResult, messages: Sequence[Message]) -> str:
    """The function that `result` answers for: as stated, else by its call in `messages`, else its call id."""
    if result.name:
        return result.name
    calls = (call for message in messages if isinstance(message, AssistantMessage) for call in message.calls)
    return next((call.name for call in calls if call.id == result.call_id), result.call_id)


def begun_reply(messages: Sequence[Message], reply_prefix: str) -> Iterator[Segment]:
    """What the reply already says: a last reply without calls, left open, and what the caller puts in its mouth."""
    last = messages[-1] if messages else None
    if isinstance(last, AssistantMessage) and not last.calls:
        yield Segment(last.text, label(len(messages) - 1, "reply"))
    yield Segment(reply_prefix, REPLY_PREFIX)


def label(index: int, what: str) -> str:
    """The ledger's name for the message at `index` (0 is the oldest, shown as 1)."""
    return f"message {index + 1}: {what}"


def _write_arguments(syntax: CallSyntax, arguments: Mapping[str, Json]) -> str:
    if syntax.layout == "one-line" or not arguments:
        return dump(dict(arguments))
    lines = (f"        {dump(key)}: {dump(value)}" for key, value in arguments.items())
    return "{\n" + ",\n".join(lines) + "\n    }"

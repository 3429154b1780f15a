"""Llama 3.x headers with calls as bare JSON, for GGUFs without a template.

Source: the chat template of Llama 3.1 (functions before what the user says first), without its dates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from fclocal.dialects.dialect import (
    FUNCTIONS,
    MARKERS,
    SYSTEM,
    Segment,
    begun_reply,
    label,
    result_name,
    write_reply,
)
from fclocal.dialects.escape import dump, escape_markers, result_json
from fclocal.dialects.reply import ReplyParser
from fclocal.functions import Function, to_openai
from fclocal.grammar.syntax import LLAMA3_JSON, CallSyntax
from fclocal.messages import AssistantMessage, FunctionResult, Message, SystemMessage, UserMessage

END = "<|eot_id|>"
ESCAPED = ("<|",)
_BEFORE = (
    "Given the following functions, please respond with a JSON for a function call with its proper arguments that "
    'best answers the given prompt.\n\nRespond in the format {"name": function name, "parameters": dictionary of '
    "argument name and its value}. Do not use variables.\n\n"
)


@dataclass(frozen=True, slots=True)
class Llama3Dialect:
    """Each message behind a header with its role; one call a turn."""

    name: str = "llama3-json"
    syntax: CallSyntax = LLAMA3_JSON
    stop: tuple[str, ...] = ("<|eot_id|>", "<|eom_id|>")

    def render(
        self, messages: Sequence[Message], functions: Sequence[Function], *, eos: str, reply_prefix: str = ""
    ) -> tuple[Segment, ...]:
        """The prompt without BOS, up to where the reply begins. A last reply without calls is left open."""
        segments = [*self._turns(messages, functions), _header("assistant")]
        segments += begun_reply(messages, reply_prefix)
        return tuple(segment for segment in segments if segment.text)

    def parser(self, names: Collection[str], *, optional: Collection[str] = ()) -> ReplyParser:
        """A parser for one reply: JSON calls with `parameters`."""
        return ReplyParser(self.syntax, names, optional=optional)

    def _turns(self, messages: Sequence[Message], functions: Sequence[Function]) -> Iterator[Segment]:
        block = list(_block(functions))
        if block and not any(isinstance(message, UserMessage) for message in messages):
            yield from _turn("user", *block)
        for index, message in enumerate(messages):
            match message:
                case SystemMessage(text=text):
                    yield from _turn("system", Segment(text.strip(), SYSTEM))
                case UserMessage(text=text):
                    yield from _turn("user", *block, Segment(text.strip(), label(index, "user")))
                    block = []
                case AssistantMessage(calls=calls) if calls:
                    for call in calls:
                        said = replace(message, text="", calls=(call,))
                        written = write_reply(self.syntax, said, escaped=ESCAPED)
                        yield from _turn("assistant", Segment(written, label(index, "reply")))
                case AssistantMessage(text=text) if index < len(messages) - 1:
                    yield from _turn("assistant", Segment(text.strip(), label(index, "reply")))
                case FunctionResult(content=content):
                    part = label(index, f"result of {result_name(message, messages[:index])}")
                    yield from _turn("ipython", Segment(result_json(content, ESCAPED), part))


def _block(functions: Sequence[Function]) -> Iterator[Segment]:
    if functions:
        yield Segment(_BEFORE, MARKERS, trusted=True)
    for function in functions:
        yield Segment(escape_markers(dump(to_openai(function), indent=4), ESCAPED) + "\n\n", FUNCTIONS)


def _turn(role: str, *said: Segment) -> tuple[Segment, ...]:
    return (_header(role), *said, Segment(END, MARKERS, trusted=True))


def _header(role: str) -> Segment:
    return Segment(f"<|start_header_id|>{role}<|end_header_id|>\n\n", MARKERS, trusted=True)

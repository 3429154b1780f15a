"""ChatML with functions in the system turn and calls in `<tool_call>`: Hermes and Qwen, for GGUFs without a template.

Source: the chat template of Qwen 3.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

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
from fclocal.grammar.syntax import TOOL_CALL, CallSyntax
from fclocal.messages import AssistantMessage, FunctionResult, Message, SystemMessage, UserMessage

START, END = "<|im_start|>", "<|im_end|>\n"
ESCAPED = (
    *("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"),
    *("<tools>", "</tools>", "<think>", "</think>", "<|"),
)
_BEFORE = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n"
)
_AFTER = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
    '<tool_call></tool_call> XML tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n'
    "</tool_call>"
)


@dataclass(frozen=True, slots=True)
class HermesDialect:
    """ChatML. Results of one reply stand in one user turn."""

    name: str = "hermes"
    syntax: CallSyntax = TOOL_CALL
    stop: tuple[str, ...] = ("<|im_end|>",)

    def render(
        self, messages: Sequence[Message], functions: Sequence[Function], *, eos: str, reply_prefix: str = ""
    ) -> tuple[Segment, ...]:
        """The prompt without BOS, up to where the reply begins. A last reply without calls is left open."""
        segments = [*self._system(messages, functions), *self._turns(messages), _mark(START + "assistant\n")]
        segments += begun_reply(messages, reply_prefix)
        return tuple(segment for segment in segments if segment.text)

    def parser(self, names: Collection[str], *, optional: Collection[str] = ()) -> ReplyParser:
        """A parser for one reply: calls in `<tool_call>`, or bare."""
        return ReplyParser(self.syntax, names, optional=optional)

    def _system(self, messages: Sequence[Message], functions: Sequence[Function]) -> Iterator[Segment]:
        first = messages[0] if messages else None
        system = first.text if isinstance(first, SystemMessage) else ""
        if not system and not functions:
            return
        yield from (_mark(START + "system\n"), Segment(system, SYSTEM))
        if functions:
            tools = "\n".join(escape_markers(dump(to_openai(function)), ESCAPED) for function in functions)
            yield from (_mark("\n\n" if system else ""), _mark(_BEFORE), Segment(tools, FUNCTIONS), _mark(_AFTER))
        yield _mark(END)

    def _turns(self, messages: Sequence[Message]) -> Iterator[Segment]:
        turns = groupby(enumerate(messages), key=lambda entry: -1 if isinstance(entry[1], FunctionResult) else entry[0])
        for _, turn in turns:
            said = list(turn)
            index, message = said[0]
            match message:
                case SystemMessage(text=text) if index > 0:
                    yield from _turn("system", Segment(text, SYSTEM))
                case UserMessage(text=text):
                    yield from _turn("user", Segment(text, label(index, "user")))
                case AssistantMessage(calls=calls) if calls or index < len(messages) - 1:
                    written = write_reply(self.syntax, message, escaped=ESCAPED)
                    yield from _turn("assistant", Segment(written, label(index, "reply")))
                case FunctionResult():
                    yield _mark(START + "user")
                    for at, result in said:
                        yield from _response(result, at, messages)
                    yield _mark(END)


def _turn(role: str, said: Segment) -> tuple[Segment, ...]:
    return (_mark(f"{START}{role}\n"), said, _mark(END))


def _response(result: Message, index: int, messages: Sequence[Message]) -> Iterator[Segment]:
    if isinstance(result, FunctionResult):
        part = label(index, f"result of {result_name(result, messages[:index])}")
        yield _mark("\n<tool_response>\n")
        yield Segment(result_json(result.content, ESCAPED), part)
        yield _mark("\n</tool_response>")


def _mark(text: str) -> Segment:
    return Segment(text, MARKERS, trusted=True)

"""The two prompt formats of the seed's card: Llama markers and DeepSeek Coder markers.

Source: the card's "Prompt Templates", made exact for several turns and results where it is silent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from fclocal.dialects.dialect import (
    FUNCTIONS,
    MARKERS,
    REPLY_PREFIX,
    SYSTEM,
    Segment,
    label,
    result_name,
    write_reply,
)
from fclocal.dialects.escape import dump, escape_markers, result_json
from fclocal.dialects.reply import ReplyParser
from fclocal.dialects.shown import shown
from fclocal.functions import Function
from fclocal.grammar.syntax import INDENTED, ONE_LINE, CallSyntax, Layout
from fclocal.messages import AssistantMessage, FunctionResult, Message, SystemMessage, UserMessage

BlockPlace: TypeAlias = Literal["before", "after"]

B_FUNC, E_FUNC = "<FUNCTIONS>", "</FUNCTIONS>\n\n"
B_SYS, E_SYS = "<<SYS>>\n", "\n<</SYS>>\n\n"
AFTER_INSTRUCTION = "\n\n"
_ESCAPED = (
    *("<FUNCTIONS>", "</FUNCTIONS>", "<<SYS>>", "<</SYS>>"),
    *("[INST]", "[/INST]", "### Instruction:", "### Response:"),
)


@dataclass(frozen=True, slots=True)
class TrelisDialect:
    """One of the card's formats. `block` says whether the function block stands before or after the system block."""

    name: str
    b_inst: str
    e_inst: str
    syntax: CallSyntax
    stop: tuple[str, ...] = ()
    block: BlockPlace = "before"

    def render(
        self, messages: Sequence[Message], functions: Sequence[Function], *, eos: str, reply_prefix: str = ""
    ) -> tuple[Segment, ...]:
        """The prompt without BOS: function block, then instructions and earlier replies in turn.

        Text of users and of the system is stripped at its ends, as in the card, and else kept byte for byte. A last
        reply without calls is left open, for the model to go on with.
        """
        block = Segment(function_block(functions), FUNCTIONS)
        inside = self.block == "after" and _system_text(messages[:1]) != ""
        segments = [] if inside else [block]
        segments += self._turns(messages, block if inside else None, eos)
        segments.append(Segment(reply_prefix, REPLY_PREFIX))
        return tuple(segment for segment in segments if segment.text)

    def parser(self, names: Collection[str], *, optional: Collection[str] = ()) -> ReplyParser:
        """A parser for one reply in the card's form, in any spacing."""
        return ReplyParser(self.syntax, names, optional=optional)

    def _turns(self, messages: Sequence[Message], block: Segment | None, eos: str) -> Iterator[Segment]:
        waiting: list[Message] = []
        for index, message in enumerate(messages):
            match message:
                case SystemMessage():
                    waiting.append(message)
                    continue
                case AssistantMessage():
                    yield Segment(write_reply(self.syntax, message, escaped=_ESCAPED), label(index, "reply"))
                    if message.calls or index < len(messages) - 1:
                        yield Segment(eos, MARKERS, trusted=True)
                    continue
                case UserMessage():
                    said = Segment(message.text.strip(), label(index, "user"))
                case FunctionResult():
                    said = _result(message, index, messages)
            yield from self._instruction(_system_text(waiting), block, said)
            waiting, block = [], None
        if waiting:
            yield from self._instruction(_system_text(waiting), block, Segment("", SYSTEM))

    def _instruction(self, system: str, block: Segment | None, said: Segment) -> Iterator[Segment]:
        yield Segment(self.b_inst, MARKERS, trusted=True)
        if system:
            yield from (
                Segment(B_SYS, MARKERS, trusted=True),
                Segment(system, SYSTEM),
                Segment(E_SYS, MARKERS, trusted=True),
            )
        if block is not None:
            yield block
        yield said
        yield Segment(self.e_inst + AFTER_INSTRUCTION, MARKERS, trusted=True)


def trelis_llama(*, layout: Layout = "indented", block: BlockPlace = "before") -> TrelisDialect:
    """The card's format for Llama, Mistral and CodeLlama models, and for the starter (`layout="one-line"`)."""
    return TrelisDialect("trelis-llama", "[INST] ", " [/INST]", _syntax(layout), block=block)


def trelis_deepseek(*, layout: Layout = "indented", block: BlockPlace = "before") -> TrelisDialect:
    """The card's format for DeepSeek Coder instruct models."""
    b_inst, e_inst = "\n### Instruction:\n", "\n### Response:\n"
    return TrelisDialect("trelis-deepseek", b_inst, e_inst, _syntax(layout), stop=("<|EOT|>",), block=block)


def function_block(functions: Sequence[Function]) -> str:
    """The block that describes `functions`; empty where there are none."""
    if not functions:
        return ""
    objects = (escape_markers(dump(shown(function), indent=4), _ESCAPED) for function in functions)
    return B_FUNC + "\n\n".join(objects) + E_FUNC


def _syntax(layout: Layout) -> CallSyntax:
    return INDENTED if layout == "indented" else ONE_LINE


def _system_text(messages: Sequence[Message]) -> str:
    texts = (message.text.strip() for message in messages if isinstance(message, SystemMessage))
    return "\n\n".join(text for text in texts if text)


def _result(result: FunctionResult, index: int, messages: Sequence[Message]) -> Segment:
    name = result_name(result, messages[:index])
    text = f"Function response from {name}:\n{result_json(result.content, _ESCAPED)}"
    return Segment(text, label(index, f"result of {name}"))

"""Text continued from a prompt that is taken as it is: no dialect, no functions. Knows no wire format."""

from __future__ import annotations

import codecs
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeAlias

from fclocal.chat.model import Model
from fclocal.chat.reply import stop_tokens
from fclocal.engine.request import Decoded, Prefilled, Request, Sampling, Stopped, StopReason, Token
from fclocal.errors import UsageError
from fclocal.events import Timings
from fclocal.functions import JsonObject
from fclocal.grammar.calls import json_grammar
from fclocal.server.endpoint import Endpoint
from fclocal.server.failures import reject

Prompt: TypeAlias = str | Sequence[int | str]


@dataclass(frozen=True, slots=True)
class Written:
    """More text, and the tokens that were decoded for it."""

    text: str
    tokens: tuple[Token, ...]


Piece: TypeAlias = Prefilled | Written | Stopped


@dataclass(frozen=True, slots=True)
class RawRequest:
    """`schema` holds the text to JSON that matches it."""

    sampling: Sampling
    max_tokens: int
    stop: tuple[str, ...] = ()
    schema: JsonObject | bool | None = None
    top_logprobs: int = 0


@dataclass(slots=True)
class Typed:
    """A whole continuation."""

    text: str = ""
    tokens: tuple[Token, ...] = ()
    reason: StopReason = "end"
    timings: Timings = field(default_factory=Timings)

    def add(self, piece: Piece) -> None:
        """Take one piece in."""
        match piece:
            case Written(text=text, tokens=tokens):
                self.text += text
                self.tokens += tokens
            case Stopped(reason=reason, timings=timings):
                self.reason, self.timings = reason, timings


def prompt_tokens(model: Model, prompt: Prompt) -> tuple[int, ...]:
    """The tokens of a prompt: text, in which control tokens are control tokens, token ids, or both in turn.

    It begins with the model's begin token, which is not doubled. Raises Rejected for an empty prompt.
    """
    engine = model.engine
    bos = engine.bos()
    tokens: list[int] = []
    for item in [prompt] if isinstance(prompt, str) else prompt:
        tokens += engine.tokenize(item, special=True) if isinstance(item, str) else [item]
    if not tokens and not bos:
        raise reject("The prompt is empty.", param="prompt")
    return tuple(tokens) if bos and tuple(tokens[:1]) == bos else (*bos, *tokens)


def as_text(model: Model, prompt: Sequence[int | str]) -> str:
    """A prompt as text; empty when it has tokens that the vocabulary has not."""
    try:
        return "".join(
            item if isinstance(item, str) else model.engine.detokenize((item,)).decode("utf-8", "replace")
            for item in prompt
        )
    except UsageError:
        return ""


async def write_on(
    endpoint: Endpoint, model: Model, tokens: tuple[int, ...], request: RawRequest
) -> AsyncGenerator[Piece, None]:
    """Continue `tokens`. Raises ContextFull, UsageError, BrokenSchema."""
    grammar = None if request.schema is None else json_grammar(request.schema)
    wanted = Request(
        prompt=tokens,
        grammar=grammar.lark if grammar else None,
        reserve=grammar.reserve if grammar else 0,
        sampling=request.sampling,
        max_tokens=request.max_tokens,
        stop=request.stop,
        top_logprobs=request.top_logprobs,
    )
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    async with aclosing(model.engine.generate(wanted, stop_tokens=stop_tokens(model))) as steps:
        async for step in steps:
            match step:
                case Decoded(tokens=decoded):
                    yield Written("".join(decoder.decode(token.piece) for token in decoded), decoded)
                case Stopped(timings=timings):
                    rest = decoder.decode(b"", final=True)
                    if rest:
                        yield Written(rest, ())
                    endpoint.metrics.count_reply(timings)
                    yield step
                case _:
                    yield step


async def type_out(pieces: AsyncGenerator[Piece, None]) -> Typed:
    """Read to the end."""
    typed = Typed()
    async with aclosing(pieces):
        async for piece in pieces:
            typed.add(piece)
    return typed

"""One generation: messages and functions in, events out, every call valid or none.

Runs nothing and keeps no history; the loop over replies and functions is turn.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from fclocal.chat.assembly import Assembly, Identity, Retry
from fclocal.chat.budget import Ledger, ledger, refuse_overflow
from fclocal.chat.model import Model
from fclocal.chat.offer import Offer, make_offer
from fclocal.engine.request import Decoded, Prefilled, Request, Sampling, Stopped, StopReason, Token
from fclocal.errors import BadCall
from fclocal.events import CallReady, FinishReason, PromptRead, ReplyEvent, ReplyFinished, TokenScore, TokensScored
from fclocal.functions import Function, JsonObject
from fclocal.grammar.calls import THINK_CLOSE, THINK_OPEN, Choice, TurnGrammar, json_grammar, narrow, turn_grammar
from fclocal.messages import Message

MAX_CALLS = 8
MAX_RETRIES = 3


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """What to reply to and how.

    `allowed` names the functions that may be called (None: all offered), `thinking` admits `<think>...</think>` first,
    `schema` constrains a text reply to JSON that matches it (response_format), `scores` asks for TokensScored with
    `top_logprobs` alternatives.
    """

    messages: tuple[Message, ...]
    functions: tuple[Function, ...] = ()
    choice: Choice = "auto"
    allowed: frozenset[str] | None = None
    thinking: bool = False
    max_calls: int = MAX_CALLS
    sampling: Sampling = Sampling()
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()
    schema: JsonObject | None = None
    scores: bool = False
    top_logprobs: int = 0


def prompt(model: Model, request: ReplyRequest) -> Ledger:
    """The exact prompt of a reply: text, tokens, and tokens per part."""
    return _prompt(model, request, make_offer(request.functions, request.choice))


def grammar(model: Model, request: ReplyRequest) -> str | None:
    """The grammar that constrains a reply, as llguidance's Lark text; None when nothing does."""
    built = _grammar(model, request, make_offer(request.functions, request.choice))
    return built.lark if built else None


async def reply(model: Model, request: ReplyRequest) -> AsyncGenerator[ReplyEvent, None]:
    """Generate one reply.

    Raises ContextFull when the prompt leaves no room, UsageError for a choice that cannot be made, and BadCall when a
    call was cut off or stayed invalid after three retries. An unfinished call is never given as a call.
    """
    offer, book, grammar = await asyncio.to_thread(_prepare, model, request)
    refuse_overflow(book, context=model.engine.context, reserve=grammar.reserve if grammar else 0)
    identity = Identity(model.name, model.sha256, model.quant, model.dialect.name, request.sampling.seed)
    assembly = Assembly(model.dialect, offer, identity, request.messages)
    tries = _Tries(model, offer)
    generation = model.engine.generate(_request(request, book, grammar), stop_tokens=stop_tokens(model))
    async with aclosing(generation):
        async for step in generation:
            match step:
                case Prefilled(done=done, total=total):
                    yield PromptRead(done, total)
                case Decoded(start=start, tokens=tokens):
                    if request.scores:
                        yield TokensScored(start, tuple(_score(token, model) for token in tokens))
                    for event in assembly.add(tokens):
                        if isinstance(event, CallReady):
                            tries.count = 0
                        yield event
                case Stopped(reason=reason, timings=timings):
                    for event in assembly.finish():
                        yield event
                    if assembly.retry is None:
                        _refuse_unfinished(assembly, request, reason)
                        yield ReplyFinished(_finish(reason, assembly), timings, offer.notes, at_stop=reason == "stop")
                        return
            if assembly.retry:
                keep, narrower = tries.again(assembly.retry, assembly.before_arguments)
                generation.rewind(keep, grammar=narrower)
                for event in assembly.rewound(keep):
                    yield event


class _Tries:
    """How often the call under way was tried again, and with which grammar."""

    def __init__(self, model: Model, offer: Offer) -> None:
        self.count = 0
        self._model = model
        self._offer = offer

    def again(self, retry: Retry, kept: str) -> tuple[int, str | None]:
        """Tokens to keep and the grammar for the next try: the same, and a narrower one for the last.

        Raises BadCall when there have been enough.
        """
        self.count += 1
        if self.count > MAX_RETRIES:
            problem = retry.problems[0]
            where = f" (at {problem.pointer})" if problem.pointer else ""
            raise BadCall(
                f"The call of {retry.name} stayed invalid after {MAX_RETRIES} retries: {problem.sentence}{where}",
                "Simplify that part of the schema; fclocal tools check shows what is enforced.",
            )
        if self.count < MAX_RETRIES:
            return retry.keep, None
        schema = self._offer.by_name[retry.name].schema
        syntax = self._model.dialect.syntax
        special = _special(self._model)
        return retry.keep_call, narrow(schema, kept=kept, syntax=syntax, problems=retry.problems, special=special).lark


def _prepare(model: Model, request: ReplyRequest) -> tuple[Offer, Ledger, TurnGrammar | None]:
    """Everything before the engine; hundreds of functions take seconds to compile, so not on the event loop."""
    offer = make_offer(request.functions, request.choice)
    return offer, _prompt(model, request, offer), _grammar(model, request, offer)


def _prompt(model: Model, request: ReplyRequest, offer: Offer) -> Ledger:
    functions = () if request.choice == "none" else offer.functions
    segments = model.dialect.render(request.messages, functions, eos=model.engine.eos)
    return ledger(segments, model.engine)


def _grammar(model: Model, request: ReplyRequest, offer: Offer) -> TurnGrammar | None:
    if request.schema is not None and not offer.by_name:
        return json_grammar(request.schema)
    if not offer.by_name:
        return None
    schemas = [(name, offered.schema) for name, offered in offer.by_name.items()]
    return turn_grammar(
        schemas,
        syntax=model.dialect.syntax,
        choice=request.choice,
        allowed=request.allowed,
        max_calls=request.max_calls,
        special=_special(model),
        thinking=request.thinking,
        text=request.schema,
    )


def _special(model: Model) -> frozenset[str]:
    """Special tokens of the vocabulary that the call syntax or the marks of thinking are written with."""
    syntax = model.dialect.syntax
    written = syntax.opening + syntax.after_name + syntax.closing + THINK_OPEN + THINK_CLOSE
    return frozenset(text for text in model.engine.special_texts if text and text in written)


def stop_tokens(model: Model) -> frozenset[int]:
    """The end tokens of dialect and catalog entry, where the vocabulary has them."""
    known = (text for text in model.stop if text in model.engine.special_texts)
    return frozenset(model.engine.tokenize(text, special=True)[0] for text in known)


def _score(token: Token, model: Model) -> TokenScore:
    top = tuple((model.engine.detokenize((other,)), logprob) for other, logprob in token.top)
    return TokenScore(token.piece, token.logprob, top)


def _request(request: ReplyRequest, book: Ledger, grammar: TurnGrammar | None) -> Request:
    return Request(
        prompt=book.tokens,
        stable=book.stable,
        grammar=grammar.lark if grammar else None,
        reserve=grammar.reserve if grammar else 0,
        sampling=request.sampling,
        max_tokens=request.max_tokens,
        stop=request.stop,
        top_logprobs=request.top_logprobs,
    )


def _refuse_unfinished(assembly: Assembly, request: ReplyRequest, reason: StopReason) -> None:
    owed = request.choice not in ("auto", "none") and not assembly.calls
    if not (assembly.inside_call or owed):
        return
    match reason:
        case "length":
            raise BadCall(f"The call was cut off at {request.max_tokens} tokens.", "Raise --max-tokens.")
        case "stop":
            raise BadCall("A stop string ended the call before it was whole.", "Choose one that no call can hold.")
        case "end" | "cancelled":
            raise BadCall("The reply ended before its call was whole.", "Try again.")


def _finish(reason: StopReason, assembly: Assembly) -> FinishReason:
    if reason == "cancelled":
        return "cancelled"
    if assembly.calls:
        return "calls"
    return "length" if reason == "length" else "stop"

"""From reply tokens to events: text, calls as they are written, and what the final check says of each call.

Knows the dialect's parser and the schemas; knows no engine.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fclocal.chat.draft import Draft
from fclocal.chat.grounding import ground
from fclocal.chat.offer import Offer
from fclocal.chat.spans import argument_spans
from fclocal.dialects import reply as pieces
from fclocal.dialects.dialect import Dialect
from fclocal.engine.request import Token
from fclocal.errors import BadCall
from fclocal.events import (
    ArgumentsDelta,
    ArgumentsReset,
    CallReady,
    CallStarted,
    Receipt,
    ReplyEvent,
    TextDelta,
    ThinkingDelta,
)
from fclocal.functions import JsonObject
from fclocal.grammar.check import Problem, check, parse_arguments
from fclocal.grammar.pointers import first_segment
from fclocal.messages import FunctionCall, Message


@dataclass(frozen=True, slots=True)
class Identity:
    """What a receipt says about the model and the run."""

    model: str
    sha256: str
    quant: str
    dialect: str
    seed: int


@dataclass(frozen=True, slots=True)
class Retry:
    """A call that the final check refused.

    Generate again after the first `keep` tokens, which end before the offending argument, or after `keep_call`, which
    end before the arguments.
    """

    keep: int
    keep_call: int
    name: str
    problems: tuple[Problem, ...]


@dataclass(slots=True)
class _OpenCall:
    id: str
    name: str
    start: int
    began: float
    text: str = ""
    retries: int = 0


class Assembly:
    """The events of one reply. Feed it tokens; when `retry` is set, rewind the engine and go on."""

    def __init__(self, dialect: Dialect, offer: Offer, identity: Identity, messages: Sequence[Message]) -> None:
        self.calls: list[FunctionCall] = []
        self.retry: Retry | None = None
        self.draft = Draft()
        self._dialect = dialect
        self._offer = offer
        self._identity = identity
        self._messages = messages
        self._parser = self._new_parser()
        self._open: _OpenCall | None = None
        self._cut_off = False

    def _new_parser(self) -> pieces.ReplyParser:
        return self._dialect.parser(tuple(self._offer.by_name), optional=self._offer.without_arguments)

    @property
    def inside_call(self) -> bool:
        """Whether a call is under way and not whole."""
        return self._cut_off or self._open is not None

    def add(self, tokens: Sequence[Token]) -> Iterable[ReplyEvent]:
        """Take new tokens in and give the events they make. Stops at a call that must be tried again."""
        for token in tokens:
            text = self.draft.add((token,))
            yield from self._events(self._parser.feed(text) if text else ())
            if self.retry:
                return

    def finish(self) -> Iterable[ReplyEvent]:
        """The events of what was held back at the end. Raises BadCall for a call that is unreadable."""
        rest = self.draft.finish()
        held = (*(self._parser.feed(rest) if rest else ()), *self._parser.finish())
        yield from self._events(held)

    def rewound(self, keep: int) -> Iterable[ReplyEvent]:
        """The engine went back to its first `keep` tokens: forget what came after them."""
        self.draft.keep(keep)
        self.retry = None
        self._parser = self._new_parser()
        began, self._open = self._open, None
        for piece in self._parser.feed(self.draft.text):
            match piece:
                case pieces.CallStarted(name=name, start=start):
                    self._open = _OpenCall("", name, start, time.perf_counter())
                case pieces.ArgumentsText(text=text) if self._open:
                    self._open.text += text
                case pieces.CallEnded():
                    self._open = None
        if began and self._open:
            self._open.id, self._open.began, self._open.retries = began.id, began.began, began.retries
            yield ArgumentsReset(len(self.calls), self._open.text)

    def _events(self, parsed: Iterable[pieces.Piece]) -> Iterable[ReplyEvent]:
        for piece in parsed:
            match piece:
                case pieces.Text(text=text):
                    yield TextDelta(text)
                case pieces.Thinking(text=text):
                    yield ThinkingDelta(text)
                case pieces.CallStarted(name=name, start=start):
                    call_id = f"call_{secrets.token_hex(6)}"
                    self._open = _OpenCall(call_id, name, start, time.perf_counter())
                    yield CallStarted(len(self.calls), call_id, name)
                case pieces.ArgumentsText(text=text) if self._open:
                    self._open.text += text
                    yield ArgumentsDelta(len(self.calls), text)
                case pieces.CallEnded(end=end) if self._open:
                    yield from self._ended(self._open, end)
                    if self.retry:
                        return
                case pieces.Malformed(fault="truncated"):
                    self._cut_off = True
                case pieces.Malformed(reason=reason):
                    raise BadCall(f"The model's call cannot be used: {reason}.", "Try again.")

    def _ended(self, call: _OpenCall, end: int) -> Iterable[ReplyEvent]:
        offered = self._offer.by_name[call.name]
        decoded = parse_arguments(call.text)
        if isinstance(decoded, Problem):
            problems: tuple[Problem, ...] = (decoded,)
            arguments: JsonObject = {}
        else:
            arguments = decoded
            problems = check(arguments, offered.function.parameters)
        if problems:
            arguments_token = self.draft.token_at(self._arguments_start(call))
            self.retry = Retry(self._keep(call, problems[0]), arguments_token, call.name, problems)
            call.retries += 1
            return
        finished = FunctionCall(call.id, call.name, arguments)
        receipt = self._receipt(call, finished, end)
        self.calls.append(finished)
        self._open = None
        yield CallReady(len(self.calls) - 1, finished, receipt)

    @property
    def before_arguments(self) -> str:
        """The reply up to where the arguments of the open call begin."""
        return self.draft.text[: self._arguments_start(self._open)] if self._open else self.draft.text

    def _arguments_start(self, call: _OpenCall) -> int:
        found = self.draft.text.find(call.text, call.start)
        return found if found >= 0 else call.start

    def _keep(self, call: _OpenCall, problem: Problem) -> int:
        """How many reply tokens to keep: all before the offending argument, or before the arguments."""
        start = self._arguments_start(call)
        value_start, _ = argument_spans(call.text).get(first_segment(problem.pointer), (0, 0))
        return self.draft.token_at(start + value_start)

    def _receipt(self, call: _OpenCall, finished: FunctionCall, end: int) -> Receipt:
        offered = self._offer.by_name[call.name]
        schema = offered.schema
        start = self._arguments_start(call)
        spans = argument_spans(call.text)
        written = self.draft.written(call.start, end)
        name_start = self.draft.text.index(call.name, call.start)
        logprobs = {name: self.draft.logprob(start + first, start + last) for name, (first, last) in spans.items()}
        sure = {name: None if logprob is None else math.exp(logprob) for name, logprob in logprobs.items()}
        return Receipt(
            grammar=schema.enforced,
            valid=True,
            unenforced=schema.unenforced,
            caps=schema.caps,
            model=self._identity.model,
            sha256=self._identity.sha256,
            quant=self._identity.quant,
            dialect=self._identity.dialect,
            seed=self._identity.seed,
            tokens_sampled=sum(not token.forced for token in written),
            tokens_forced=sum(token.forced for token in written),
            name_logprob=self.draft.logprob(name_start, name_start + len(call.name)),
            argument_logprobs=logprobs,
            retries=call.retries,
            ms=(time.perf_counter() - call.began) * 1000,
            origins=ground(finished, offered.function, self._messages, probabilities=sure),
            unchecked=schema.unchecked,
        )

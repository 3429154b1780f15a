"""One generation as the scheduler sees it: tokens to decode, and from logits the next tokens and steps.

Knows sampling, grammar and stop strings of its request; not batches, threads or other generations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

from fclocal.engine.constraint import Constraint
from fclocal.engine.request import Decoded, Request, Step, Stopped, StopReason, Token
from fclocal.engine.sampling import Allowed, Credit, Logits, NothingAllowed, Sampler
from fclocal.engine.stops import StopScanner
from fclocal.errors import FclocalError
from fclocal.events import Timings


@dataclass(frozen=True, slots=True)
class Tools:
    """What a sequence needs of its model: `constrain(grammar, end_tokens, consumed)`, the bytes of a token, and to whom
    a forbidden token's probability is credited."""

    constrain: Callable[[str, frozenset[int], Sequence[int]], Constraint]
    piece: Callable[[int], bytes]
    credit: Credit | None


class Running:
    """The state of one generation. `tokens` are prompt and reply; `steps` collects what the consumer gets.

    `room` is the number of reply tokens that may be generated. End tokens are not part of the reply.
    """

    def __init__(self, request: Request, *, tools: Tools, end_tokens: frozenset[int], room: int) -> None:
        self.request = request
        self.tokens = list(request.prompt)
        self.steps: list[Step] = []
        self.stopped = False
        self.cached = 0
        self.decodes = 0
        self._tools = tools
        self._end_tokens = end_tokens
        self._room = room
        self._reply: list[Token] = []
        self._rejected: list[tuple[int, ...]] = []
        self._attempt = 0
        self._sampled = self._forced = 0
        self._started = perf_counter()
        self._read: float | None = None
        self._begin(grammar=request.grammar)

    @property
    def prompt_size(self) -> int:
        """Tokens of the prompt."""
        return len(self.request.prompt)

    @property
    def cells(self) -> int:
        """KV cells that this generation may come to need."""
        return self.prompt_size + self._room

    def advance(self, logits: Logits) -> None:
        """Choose the next token from `logits`, which follow all of `tokens`; append it and what it forces."""
        if self._read is None:
            self._read = perf_counter()
        else:
            self.decodes += 1
        reply = [token.id for token in self._reply]
        allowed = self._constraint.allowed() if self._constraint else None
        try:
            choice = self._sampler.choose(
                logits, self._without_rejected(allowed, reply, len(logits)), context=self.tokens, reply=reply
            )
        except NothingAllowed:
            raise FclocalError("No other continuation is left to try.") from None
        self._sampled += 1
        if choice.token in self._end_tokens:
            self._stop("end")
            return
        if self._constraint:
            self._constraint.consume((choice.token,))
        self._append([Token(choice.token, self._tools.piece(choice.token), choice.logprob, False, choice.top)])
        self._follow()

    def rewind(self, keep: int, *, seen: int, grammar: str | None) -> None:
        """Keep the first `keep` reply tokens and go on from there; of what followed, the `seen` tokens that the
        consumer had are rejected: the reply never takes that path again."""
        shown = self._reply[:seen]
        while len(shown) > keep and shown[-1].forced:
            shown.pop()
        if len(shown) > keep:
            self._rejected.append(tuple(token.id for token in shown))
        self._reply = self._reply[:keep]
        self.tokens = self.tokens[: self.prompt_size + keep]
        self._attempt += 1
        self._begin(grammar=grammar or self._grammar)

    def cancel(self) -> None:
        """End the generation where it is."""
        if not self.stopped:
            self._stop("cancelled")

    def _begin(self, *, grammar: str | None) -> None:
        request = self.request
        self.stopped = False
        self._grammar = grammar
        self._stops = StopScanner(request.stop)
        self._sampler = Sampler(
            request.sampling, attempt=self._attempt, top_logprobs=request.top_logprobs, credit=self._tools.credit
        )
        self._delivered = len(self._reply)
        kept = [token.id for token in self._reply]
        self._constraint = self._tools.constrain(grammar, self._end_tokens, kept) if grammar else None
        self._follow()

    def _follow(self) -> None:
        """Append what the grammar forces, and stop if nothing more may come."""
        if self.stopped:
            return
        if self._constraint and not self._constraint.stopped and self.request.force:
            forced = self._constraint.forced()[: self._left]
            if forced:
                self._constraint.consume(forced)
                self._append([Token(token, self._tools.piece(token), None, True) for token in forced])
        if self.stopped:
            return
        if self._constraint and self._constraint.stopped:
            self._stop("end")
        elif self._left <= 0:
            self._stop("length")

    @property
    def _left(self) -> int:
        return self._room - len(self._reply)

    def _append(self, tokens: list[Token]) -> None:
        self._reply += tokens
        self.tokens += [token.id for token in tokens]
        self._forced += sum(token.forced for token in tokens)
        self._deliver(self._stops.push(tokens))
        if self._stops.found:
            del self._reply[self._delivered :]
            self._stop("stop")

    def _deliver(self, tokens: Sequence[Token]) -> None:
        if tokens:
            self.steps.append(Decoded(self._delivered, tuple(tokens)))
            self._delivered += len(tokens)

    def _stop(self, reason: StopReason) -> None:
        self.stopped = True
        if reason != "stop":
            self._deliver(self._stops.flush())
        self.steps.append(Stopped(reason, self._timings()))

    def _timings(self) -> Timings:
        now = perf_counter()
        read = self._read or now
        return Timings(
            prompt_tokens=self.prompt_size,
            cached_tokens=self.cached,
            sampled_tokens=self._sampled,
            forced_tokens=self._forced,
            decodes=self.decodes,
            prompt_ms=1000 * (read - self._started),
            reply_ms=1000 * (now - read),
        )

    def _without_rejected(self, allowed: Allowed | None, reply: Sequence[int], size: int) -> Allowed | None:
        return allowed

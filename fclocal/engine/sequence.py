"""One generation as the scheduler sees it: tokens to decode, and from logits the next tokens and steps.

Knows sampling, grammar and stop strings of its request; not batches, threads or other generations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from fclocal.engine.closing import Closer, Reserve
from fclocal.engine.constraint import Constraint, GrammarError
from fclocal.engine.request import Decoded, Request, Step, Stopped, StopReason, Token
from fclocal.engine.sampling import Allowed, Credit, Logits, NothingAllowed, Sampler
from fclocal.engine.stops import StopScanner
from fclocal.errors import BadCall
from fclocal.events import Timings


@dataclass(frozen=True, slots=True)
class Tools:
    """What a generation needs of its model: `constrain(grammar, end_tokens, consumed)`, the bytes of a token, to whom a
    forbidden token's probability is credited, and who finds an end for a call."""

    constrain: Callable[[str, frozenset[int], Sequence[int]], Constraint]
    piece: Callable[[int], bytes]
    credit: Credit | None
    closer: Closer


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
        self._grammar = request.grammar
        self._reserve: Reserve | None = None
        self._begin()

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
        reply = self.tokens[self.prompt_size :]
        try:
            choice = self._sampler.choose(logits, self._allowed(reply, len(logits)), context=self.tokens, reply=reply)
        except NothingAllowed:
            raise _exhausted() from None
        self._sampled += 1
        if choice.token in self._end_tokens:
            self._stop("end")
            return
        token = Token(choice.token, self._tools.piece(choice.token), choice.logprob, False, choice.top)
        if self._constraint and self._reserve and self._reserve.narrow:
            self._advance_narrowly(self._constraint, self._reserve, token)
            return
        if self._constraint:
            self._constraint.consume((token.id,))
        self._append([token])
        self._follow()

    def rewind(self, keep: int, *, seen: int, grammar: str | None) -> None:
        """Keep the first `keep` reply tokens and go on from there; of what followed, the `seen` tokens that the
        consumer had are rejected: the reply never takes that path again. Raises BadCall when no other is left."""
        shown = self._reply[:seen]
        self._reply = self._reply[:keep]
        self.tokens = self.tokens[: self.prompt_size + keep]
        self._attempt += 1
        self._grammar = grammar or self._grammar
        self._reject(shown, keep)
        self._begin()

    def cancel(self) -> None:
        """End the generation where it is."""
        if not self.stopped:
            self._stop("cancelled")

    def _begin(self) -> None:
        request = self.request
        self.stopped = False
        self._stops = StopScanner(request.stop)
        self._sampler = Sampler(
            request.sampling,
            attempt=self._attempt,
            top_logprobs=request.top_logprobs,
            credit=self._tools.credit if request.credit else None,
        )
        self._delivered = len(self._reply)
        self._constraint = self._constrain([token.id for token in self._reply])
        if self._constraint:
            seed = request.sampling.seed + self._attempt
            self._reserve = Reserve(self._tools.closer, room=self._left, reserve=request.reserve, seed=seed)
        self._follow()

    def _constrain(self, consumed: Sequence[int]) -> Constraint | None:
        return self._tools.constrain(self._grammar, self._end_tokens, consumed) if self._grammar else None

    def _follow(self) -> None:
        """Append what the grammar forces, and stop if nothing more may come."""
        if self._constraint and not self.stopped and self.request.force:
            forced = self._constraint.forced()[: self._left]
            self._constraint.consume(forced)
            self._append(self._as_forced(forced))
        if self._constraint and self._reserve and not self.stopped:
            self._reserve.watch(self._constraint, self._left)
        self._stop_if_over()

    def _advance_narrowly(self, constraint: Constraint, reserve: Reserve, token: Token) -> None:
        """Take `token` only if the call can be closed after it; else close the call."""
        after = constraint.copy()
        after.consume((token.id,))
        forced = after.forced() if self.request.force else []
        after.consume(forced)
        if reserve.refuses(after, self._left - 1 - len(forced)):
            closing = reserve.plan or ()
            self._append(self._as_forced(closing))
            if not self.stopped:
                self._stop("end" if closing else "length")
            return
        self._constraint = after
        self._append([token, *self._as_forced(forced)][: self._left])
        self._stop_if_over()

    def _stop_if_over(self) -> None:
        if self.stopped:
            return
        if self._constraint and self._constraint.stopped:
            self._stop("end")
        elif self._left <= 0:
            self._stop("length")

    def _as_forced(self, tokens: Sequence[int]) -> list[Token]:
        return [Token(token, self._tools.piece(token), None, True) for token in tokens]

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

    def _allowed(self, reply: Sequence[int], size: int) -> Allowed | None:
        """The grammar's mask without the tokens that would complete a rejected path; None when all may come."""
        allowed = self._constraint.allowed() if self._constraint else None
        banned = self._banned(reply)
        if banned:
            allowed = np.ones(size, np.bool_) if allowed is None else allowed
            allowed[banned] = False
        return allowed

    def _banned(self, reply: Sequence[int]) -> list[int]:
        at = len(reply)
        path = tuple(reply)
        return [rejected[at] for rejected in self._rejected if len(rejected) == at + 1 and rejected[:at] == path]

    def _reject(self, shown: list[Token], keep: int) -> None:
        """Reject the path of the `shown` tokens up to its last sampled one. Where nothing else could stand in that
        one's place, reject the sampled token before it, too."""
        while True:
            while len(shown) > keep and shown[-1].forced:
                shown.pop()
            if len(shown) <= keep:
                return
            path = [token.id for token in shown]
            self._rejected.append(tuple(path))
            before = path[:-1]
            try:
                constraint = self._constrain(before)
            except GrammarError:
                return  # A new grammar does not allow this path anyway.
            if constraint is None:
                return
            allowed = constraint.allowed()
            allowed[self._banned(before)] = False
            if allowed.any():
                return
            shown.pop()
            if len(shown) <= keep or all(token.forced for token in shown[keep:]):
                raise _exhausted()


def _exhausted() -> BadCall:
    return BadCall("The grammar leaves no other continuation to try.", "Loosen the schema, or ask again.")

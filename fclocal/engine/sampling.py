"""Choose a token from logits. Knows numbers and token ids, not grammars, text or llama.cpp.

The order of the filters is llama.cpp's: bias, penalties, mask, top-k, top-p, min-p, temperature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fclocal.engine.request import Sampling

Logits: TypeAlias = NDArray[np.float32]
Allowed: TypeAlias = NDArray[np.bool_]
# The longest allowed token that a forbidden token begins with, or None.
Credit: TypeAlias = Callable[[int, Allowed], int | None]

PENALTY_WINDOW = 64
# A lower temperature leaves no other token a chance.
GREEDY = 1e-3


class NothingAllowed(Exception):
    """The mask leaves no token."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A token, its natural log-probability over the unmasked logits, and the likeliest alternatives with theirs."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


class Sampler:
    """The choices of one generation: the same seed, attempt and logits give the same tokens.

    `credit` gives the probability of a forbidden token to the longest allowed token that it begins with, because a mask
    alone hands the probability of `"}}` to unrelated tokens when only `"` is allowed.
    """

    def __init__(
        self, sampling: Sampling, *, attempt: int = 0, top_logprobs: int = 0, credit: Credit | None = None
    ) -> None:
        self._sampling = sampling
        self._random = np.random.default_rng([sampling.seed % (1 << 64), attempt])
        self._top = top_logprobs
        self._credit = credit
        self._adjusts = bool(sampling.logit_bias) or (
            sampling.repeat_penalty != 1 or sampling.frequency_penalty != 0 or sampling.presence_penalty != 0
        )

    def choose(
        self, logits: Logits, allowed: Allowed | None, *, context: Sequence[int] = (), reply: Sequence[int] = ()
    ) -> Choice:
        """Choose from `logits` (vocabulary,) where `allowed` is true.

        `context` is prompt and reply (for the repeat penalty), `reply` the reply alone (for the other penalties).
        Raises NothingAllowed.
        """
        scores = self._adjusted(logits, context, reply) if self._adjusts else logits
        greedy = self._sampling.temperature < GREEDY
        token = self._greedy(scores, allowed) if greedy else self._sampled(scores, allowed)
        total = log_sum_exp(logits)
        return Choice(token, float(logits[token]) - total, _likeliest(logits, self._top, total))

    def _greedy(self, scores: Logits, allowed: Allowed | None) -> int:
        best = int(scores.argmax())
        if allowed is None or allowed[best]:
            return best
        credited = self._credit(best, allowed) if self._credit else None
        if credited is not None:
            return credited
        masked = np.where(allowed, scores, -np.inf)
        best = int(masked.argmax())
        if not allowed[best]:
            raise NothingAllowed
        return best

    def _sampled(self, scores: Logits, allowed: Allowed | None) -> int:
        if allowed is None or self._credit is None:
            return self._draw(scores, allowed)
        token = self._draw(scores, None)
        if allowed[token]:
            return token
        credited = self._credit(token, allowed)
        return credited if credited is not None else self._draw(scores, allowed)

    def _draw(self, scores: Logits, allowed: Allowed | None) -> int:
        sampling = self._sampling
        tokens = None if allowed is None else np.flatnonzero(allowed)
        if tokens is not None:
            if not len(tokens):
                raise NothingAllowed
            scores = scores[tokens]
        if 0 < sampling.top_k < len(scores):
            kept = np.argpartition(scores, -sampling.top_k)[-sampling.top_k :]
            scores, tokens = scores[kept], kept if tokens is None else tokens[kept]
        if sampling.top_p < 1 or sampling.min_p > 0:
            kept = _nucleus(scores, sampling.top_p, sampling.min_p)
            scores, tokens = scores[kept], kept if tokens is None else tokens[kept]
        weights = np.exp((scores - scores.max()) / np.float32(sampling.temperature))
        edges = np.cumsum(weights, dtype=np.float64)
        at = min(int(np.searchsorted(edges, self._random.random() * edges[-1], side="right")), len(edges) - 1)
        return at if tokens is None else int(tokens[at])

    def _adjusted(self, logits: Logits, context: Sequence[int], reply: Sequence[int]) -> Logits:
        sampling = self._sampling
        scores = logits.copy()
        for token, bias in sampling.logit_bias.items():
            scores[token] += bias
        if sampling.repeat_penalty != 1:
            seen = np.unique(np.asarray(context[-PENALTY_WINDOW:], np.int64))
            values = scores[seen]
            scores[seen] = np.where(values > 0, values / sampling.repeat_penalty, values * sampling.repeat_penalty)
        if reply and (sampling.frequency_penalty or sampling.presence_penalty):
            seen, counts = np.unique(np.asarray(reply, np.int64), return_counts=True)
            scores[seen] -= (sampling.frequency_penalty * counts + sampling.presence_penalty).astype(np.float32)
        return scores


def log_sum_exp(logits: Logits) -> float:
    """Natural log of the sum of the exponentials, without overflow."""
    top = logits.max()
    return float(top) + float(np.log(np.exp(logits - top).sum(dtype=np.float64)))


def _nucleus(scores: Logits, top_p: float, min_p: float) -> NDArray[np.intp]:
    """Indices, likeliest first, of the smallest set that holds `top_p` of the probability, each at least `min_p` of
    the likeliest one's."""
    order = np.argsort(-scores, kind="stable")
    weights = np.exp((scores[order] - scores[order[0]]).astype(np.float64))
    keep = len(order)
    if top_p < 1:
        edges = np.cumsum(weights)
        keep = int(np.searchsorted(edges, top_p * edges[-1])) + 1
    if min_p > 0:
        keep = min(keep, int(np.count_nonzero(weights >= min_p)))
    return order[: max(1, keep)]


def _likeliest(logits: Logits, count: int, total: float) -> tuple[tuple[int, float], ...]:
    if count <= 0:
        return ()
    count = min(count, len(logits))
    top = np.argpartition(logits, -count)[-count:]
    top = top[np.argsort(-logits[top], kind="stable")]
    return tuple((int(token), float(logits[token]) - total) for token in top)

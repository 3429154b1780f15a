"""What the engine is asked and what it answers: integers, bytes and numbers. Knows no messages, functions or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from fclocal.events import Timings

StopReason: TypeAlias = Literal["end", "stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a token is chosen. Temperature 0 is greedy; top_k 0, top_p 1, min_p 0 and penalties 1, 0, 0 are off."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    seed: int = 0
    logit_bias: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """One generation.

    `grammar` is llguidance Lark text or None. `reserve` is the part of `max_tokens` that is kept back to close a call
    that is under way; it is used only when there is a grammar. `stop` are strings that end the text and are not part of
    it. `top_logprobs` (0 to 20) asks for the likeliest alternatives of each sampled token. `force` off samples forced
    tokens one by one (for the benchmark). `stable` is the number of leading prompt tokens that other conversations
    begin with, too (the function block): their KV state is worth keeping on disk. `credit` gives the probability of a
    token that the grammar forbids to the longest allowed token that it begins with.
    """

    prompt: tuple[int, ...]
    grammar: str | None = None
    reserve: int = 0
    sampling: Sampling = Sampling()
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()
    top_logprobs: int = 0
    force: bool = True
    stable: int = 0
    credit: bool = True


@dataclass(frozen=True, slots=True)
class Token:
    """One token of the reply. `logprob` is natural, over the unmasked distribution; None when it was forced."""

    id: int
    piece: bytes
    logprob: float | None
    forced: bool
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Prefilled:
    """`done` of `total` prompt tokens are in the KV cache; `cached` of them were there before."""

    done: int
    total: int
    cached: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """New reply tokens; `start` is the index of the first one in the reply."""

    start: int
    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Stopped:
    """Nothing more comes, unless the generation is rewound. `end` is the model's own end token or the grammar's end."""

    reason: StopReason
    timings: Timings


Step: TypeAlias = Prefilled | Decoded | Stopped

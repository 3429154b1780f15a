"""What happens while the model replies and functions run, as frozen values. One union, matched by every consumer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from fclocal.messages import FunctionCall, FunctionResult

Enforcement: TypeAlias = Literal["full", "partial", "none"]
FinishReason: TypeAlias = Literal["stop", "calls", "length", "cancelled"]
Source: TypeAlias = Literal["user", "result", "default", "inferred", "unsupported"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an argument's value came from.

    `text` is the words it was found in and `span` their start and end in message number `message` (0 is the oldest).
    `probability` is the model's own for the tokens of the value, 0 to 1, or None when nothing of it was sampled.
    """

    source: Source
    text: str = ""
    message: int | None = None
    span: tuple[int, int] | None = None
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was enforced for one call, by what, on which model.

    `unenforced` maps a JSON pointer into the parameters to the keyword that only the final check could enforce,
    `unchecked` to one that nobody could, `caps` to the limit that was put on an unbounded value. `logprobs` are natural
    logarithms.
    """

    grammar: Enforcement
    valid: bool
    unenforced: Mapping[str, str]
    caps: Mapping[str, int]
    model: str
    sha256: str
    quant: str
    dialect: str
    seed: int
    tokens_sampled: int
    tokens_forced: int
    name_logprob: float | None
    argument_logprobs: Mapping[str, float | None]
    retries: int = 0
    ms: float = 0.0
    origins: Mapping[str, Origin] = field(default_factory=dict)
    unchecked: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Timings:
    """Tokens and milliseconds of one reply. `cached` prompt tokens were reused from the KV cache."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    sampled_tokens: int = 0
    forced_tokens: int = 0
    decodes: int = 0
    prompt_ms: float = 0.0
    reply_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class PromptRead:
    """Prefill went on: `done` of `total` prompt tokens are in the KV cache."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the text reply."""

    text: str


@dataclass(frozen=True, slots=True)
class TokenScore:
    """One reply token: its bytes, its natural log-probability (None when the grammar forced it), and the likeliest
    tokens in its place with theirs."""

    piece: bytes
    logprob: float | None
    top: tuple[tuple[bytes, float], ...] = ()


@dataclass(frozen=True, slots=True)
class TokensScored:
    """The tokens that the next deltas are made of, when scores were asked for. `start` is the index of the first one
    in the reply; what was said of later ones before no longer holds."""

    start: int
    tokens: tuple[TokenScore, ...]


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """More of the model's thinking, kept apart from the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The name of call number `index` of this reply is known."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ArgumentsDelta:
    """More JSON text of the arguments of call `index`, as it was generated."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class ArgumentsReset:
    """The final check refused what was generated: the arguments of call `index` begin again with `text`."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class CallReady:
    """Call `index` is whole and valid."""

    index: int
    call: FunctionCall
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class ReplyFinished:
    """One generation ended. `notes` are sentences about anything that was left out or changed; `at_stop` says that a
    stop string of the request ended it."""

    reason: FinishReason
    timings: Timings
    notes: tuple[str, ...] = ()
    at_stop: bool = False


@dataclass(frozen=True, slots=True)
class CallWaiting:
    """A call waits for the user's decision."""

    call: FunctionCall


@dataclass(frozen=True, slots=True)
class QuestionAsked:
    """The user is asked for one argument of a call."""

    call: FunctionCall
    argument: str
    question: str


@dataclass(frozen=True, slots=True)
class CallRunning:
    """The function runs now."""

    call: FunctionCall


@dataclass(frozen=True, slots=True)
class CallFinished:
    """The function ended; a failure or denial is a result with `ok=False`."""

    call: FunctionCall
    result: FunctionResult
    ms: float
    outcome: Literal["done", "failed", "denied", "unanswered", "cached", "proposed"]


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence the user should see (a tool set aside, a fallback, a trimmed message)."""

    text: str


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The loop over replies and functions ended. `reason` is that of the last reply, or why the loop stopped."""

    reason: Literal["answered", "proposed", "length", "cancelled", "steps", "asked"]


ReplyEvent: TypeAlias = (
    PromptRead
    | TokensScored
    | TextDelta
    | ThinkingDelta
    | CallStarted
    | ArgumentsDelta
    | ArgumentsReset
    | CallReady
    | ReplyFinished
)
Event: TypeAlias = ReplyEvent | CallWaiting | QuestionAsked | CallRunning | CallFinished | Notice | TurnFinished

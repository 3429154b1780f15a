"""What a turn asks of the person in front of it, and what may come back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from fclocal.events import Origin
from fclocal.functions import Function, Json
from fclocal.messages import FunctionCall


@dataclass(frozen=True, slots=True)
class ApprovalNeeded:
    """May this call run? `origins` say where each argument came from; `why` is the rule that asks."""

    call: FunctionCall
    function: Function
    effect: str
    origins: Mapping[str, Origin]
    why: str


@dataclass(frozen=True, slots=True)
class ArgumentMissing:
    """Nobody gave this argument: `question` asks for it, `schema` says what an answer may be."""

    call: FunctionCall
    function: Function
    argument: str
    question: str
    schema: Json


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to ApprovalNeeded. `arguments` replaces the model's when the user edited them; `reason` goes to the
    model when the call is denied; `remember` lets the same function run for the rest of the session."""

    allow: bool
    remember: bool = False
    reason: str = ""
    arguments: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to ArgumentMissing: a value that fits the schema, or None when the user gave none."""

    value: Json
    given: bool = True


Waiting: TypeAlias = ApprovalNeeded | ArgumentMissing
Decide: TypeAlias = Callable[[Waiting], Awaitable[Decision | Answer]]
Missing: TypeAlias = Literal["ask", "warn", "off"]


async def nobody(waiting: Waiting) -> Decision | Answer:
    """The decision when there is nobody to ask: no."""
    if isinstance(waiting, ArgumentMissing):
        return Answer(None, given=False)
    return Decision(allow=False, reason="Nobody was there to allow it.")

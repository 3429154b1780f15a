"""The conversation as plain values. Knows no prompt format and no wire format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from fclocal.functions import Json


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """One call the model made; `arguments` is the decoded JSON object."""

    id: str
    name: str
    arguments: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class SystemMessage:
    """Standing instructions; trusted."""

    text: str


@dataclass(frozen=True, slots=True)
class UserMessage:
    """What the user said; untrusted text, never a control token."""

    text: str


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    """What the model replied: text, calls, or text then calls. `thinking` is kept apart and not sent back."""

    text: str = ""
    calls: tuple[FunctionCall, ...] = ()
    thinking: str = ""


@dataclass(frozen=True, slots=True)
class FunctionResult:
    """What a call came to. `content` is JSON text or plain text; a failure is data with `ok=False`."""

    call_id: str
    content: str
    ok: bool = field(default=True, kw_only=True)
    name: str = field(default="", kw_only=True)


Message: TypeAlias = SystemMessage | UserMessage | AssistantMessage | FunctionResult

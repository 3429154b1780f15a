"""How the app gets a model: what it asks for and what it is given. Types alone, so that the first paint is quick."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from fclocal.chat.session import Session
    from fclocal.chat.turn import Recorder
    from fclocal.messages import Message
    from fclocal.runtime import Runtime
    from fclocal.tools.mcp.servers import Trust


@dataclass(frozen=True, slots=True)
class Ask:
    """What to load: None is the model that was asked for on the command line. `progress` gets 0 to 1; `trust` asks
    the user about MCP servers."""

    model: str | None
    progress: Callable[[float], None]
    trust: Trust


class StartSession(Protocol):
    """Begins a conversation on the loaded model, or goes on with `history`."""

    def __call__(self, *, history: Sequence[Message] = (), record: Recorder | None = None) -> Session: ...


@dataclass(frozen=True, slots=True)
class Opened:
    """A loaded model with its functions. `device` says in words where it runs."""

    runtime: Runtime
    start: StartSession
    device: str


Opening: TypeAlias = Callable[[Ask], AbstractAsyncContextManager[Opened]]

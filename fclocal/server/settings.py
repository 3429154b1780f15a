"""What the endpoint was told at its start. Knows values, not sockets."""

from __future__ import annotations

from dataclasses import dataclass, field

from fclocal.chat.decide import Missing
from fclocal.engine.request import Sampling
from fclocal.grammar.calls import Choice
from fclocal.runtime import Options
from fclocal.tools.toolset import Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what clients may take. Times in seconds, sizes in bytes.

    `queue` requests wait while `parallel` are answered; `connections` may be open, those without a request for
    `keep_alive`. A whole reply has `reply` seconds, each write to a slow reader `write`.
    """

    parallel: int = 4
    queue: int = 16
    body: int = 4 << 20
    connections: int = 900
    header_deadline: float = 10.0
    body_deadline: float = 30.0
    keep_alive: float = 30.0
    write: float = 60.0
    reply: float = 600.0
    shutdown: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`options` say what to load; `named` that --model was given, so that names nobody knows are answered by it.

    `sampling`, `max_tokens`, `choice` and `system` hold where a request says nothing; `seeded` that the seed was given.
    `keep_alive` is how many seconds a model stays loaded after its last reply, None for ever. `tools` are only shown.
    """

    options: Options
    host: str = "127.0.0.1"
    port: int = 8080
    key: str | None = None
    named: bool = False
    keep_alive: float | None = 300.0
    log_format: str = "text"
    sampling: Sampling = Sampling()
    seeded: bool = False
    max_tokens: int = 1024
    choice: Choice = "auto"
    missing: Missing = "warn"
    system: str | None = None
    tools: tuple[Tool, ...] = ()
    limits: Limits = field(default_factory=Limits)

"""How a download or a hash goes on, as values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Phase: TypeAlias = Literal["waiting", "downloading", "checking", "there", "converting", "quantizing"]


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` bytes of the file `name` in this phase; `fetched` came over the network in this call."""

    name: str
    phase: Phase
    done: int
    total: int
    fetched: int = 0


# Called often; may raise to stop, and what has arrived is kept.
Report: TypeAlias = Callable[[Progress], None]

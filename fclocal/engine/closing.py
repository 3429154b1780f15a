"""Keep enough of the token budget to close a call that is under way.

A closing is searched on a copy of the constraint, without the model: a few walks through the grammar that prefer what
ends soon. While one fits into the tokens that are left, the model goes on; the token after which none would fit is
not taken, and the closing is written instead. Knows JSON's closing characters, not schemas.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fclocal.engine.constraint import Constraint
from fclocal.engine.pieces import Pieces
from fclocal.engine.sampling import Allowed

# How far each walk strays from the best-ranked token: patterns and required values end only by chance.
_STRAYING = (0.05, 0.05, 1.0, 2.0, 4.0, 8.0)
# With fewer spare tokens than this, every token is checked before it is taken.
_NARROW = 24
# A mask that allows this share of the vocabulary is the inside of a string.
_FREE = 0.3


class Closer:
    """Finds token sequences that bring a constraint to its end."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._ranks: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    def find(self, constraint: Constraint, budget: int, random: np.random.Generator) -> tuple[int, ...] | None:
        """At most `budget` tokens after which the reply may end, or None when no walk found any."""
        for straying in _STRAYING:
            found = self._walk(constraint.copy(), budget, straying, random)
            if found is not None:
                return found
        return None

    def _walk(
        self, constraint: Constraint, budget: int, straying: float, random: np.random.Generator
    ) -> tuple[int, ...] | None:
        path: list[int] = []
        while not constraint.accepting:
            tokens = constraint.forced() or [self._pick(constraint.allowed(), straying, random)]
            path += tokens
            if len(path) > budget:
                return None
            constraint.consume(tokens)
        return tuple(path)

    def _pick(self, allowed: Allowed, straying: float, random: np.random.Generator) -> int:
        inside_string, structure = self._ranks or self._rank()
        tokens = np.flatnonzero(allowed)
        ranks = inside_string if len(tokens) > _FREE * len(allowed) else structure
        return int(tokens[(ranks[tokens] + straying * random.gumbel(size=len(tokens))).argmax()])

    def _rank(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        pieces = self._pieces.text
        inside_string = np.array([_rank(piece, quote=30.0) for piece in pieces], np.float32)
        structure = np.array([_rank(piece, quote=10.0) for piece in pieces], np.float32)
        self._ranks = inside_string, structure
        return self._ranks


class Reserve:
    """Watches the budget of one generation. `plan` closes it from its present state, when `narrow`."""

    def __init__(self, closer: Closer, *, room: int, reserve: int, seed: int) -> None:
        self._closer = closer
        self._random = np.random.default_rng(seed % (1 << 64))
        self._floor = reserve + _NARROW
        self._check_at = room - max(0, room - self._floor) // 8
        self.narrow = False
        self.plan: tuple[int, ...] | None = None

    def watch(self, constraint: Constraint, left: int) -> None:
        """Look whether the budget has become narrow, now that `left` tokens remain. Looks rarely while it is ample."""
        if self.narrow or left > self._check_at:
            return
        self.plan = self._closer.find(constraint, left, self._random)
        spare = left - len(self.plan) if self.plan is not None else 0
        self.narrow = spare < _NARROW or left <= self._floor
        self._check_at = left - max(1, (spare - _NARROW) // 8)

    def refuses(self, after: Constraint, left: int) -> bool:
        """Whether the state `after` the next token, with `left` tokens, cannot be closed while the present one can."""
        plan = self._closer.find(after, left, self._random) if left >= 0 else None
        if plan is None and self.plan is not None:
            return True
        self.plan = plan
        return False


def _rank(piece: bytes, *, quote: float) -> float:
    """How soon a value ends after `piece`: `quote` is what a closing quotation mark is worth."""
    text = piece.strip()
    if not text:
        return 0.0
    length = min(len(piece), 8) / 8
    if not text.strip(b'"]}'):
        return (quote if text[:1] == b'"' else 20.0) + length
    if text in (b"[]", b"{}", b"[", b"{"):
        return 12.0 if len(text) == 2 else 1.0
    if text.isdigit():
        return 8.0 - length
    if b"null".startswith(text):
        return 7.0 + length
    if b"true".startswith(text) or b"false".startswith(text):
        return 6.0 + length
    if b"," in text or b"\\" in text or b"{" in text or b"[" in text:
        return -5.0
    return 4.0 + length

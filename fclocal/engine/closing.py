"""Keep enough of the token budget to close a call that is under way.

A closing is searched on a copy of the constraint, without the model: a few walks through the grammar that prefer what
ends soon. While one fits into the tokens that are left, the model goes on; the token after which none would fit is
not taken, and the closing is written instead. Knows JSON's closing characters, not schemas.
"""

from __future__ import annotations

from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fclocal.engine.constraint import Constraint
from fclocal.engine.pieces import Pieces
from fclocal.engine.sampling import Allowed

Floats: TypeAlias = NDArray[np.float32]

# How far each walk strays from the best-ranked token: patterns and required values end only by chance.
_STRAYING = (0.1, 0.1, 3.0, 6.0, 12.0, 24.0)
# With fewer spare tokens than this, every token is checked before it is taken.
_NARROW = 24
# Inside a string, a byte that did not help is tried later than the others.
_TIRED = 6.0
# Letters that begin no JSON value: where one may come, a string is open.
_STRING_LETTERS = b"abcdeghijklmopqrsuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Closer:
    """Finds token sequences that bring a constraint to its end."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces

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
        tired = np.zeros(256, np.float32)
        while not constraint.accepting:
            tokens = constraint.forced() or [self._pick(constraint.allowed(), tired, straying, random)]
            path += tokens
            if len(path) > budget:
                return None
            constraint.consume(tokens)
        return tuple(path)

    def _pick(self, allowed: Allowed, tired: Floats, straying: float, random: np.random.Generator) -> int:
        """The best-ranked allowed token; inside a string, `tired` is what each first byte has cost so far."""
        tokens = np.flatnonzero(allowed)
        noise = random.random(len(tokens), np.float32) * np.float32(straying)
        if not allowed[self._letters].any():
            return int(tokens[(self._structure[tokens] + noise).argmax()])
        first = self._first_bytes[tokens]
        token = int(tokens[(self._inside[tokens] - tired[first] + noise).argmax()])
        tired[self._first_bytes[token]] += _TIRED
        tired[ord('"')] = 0
        return token

    @cached_property
    def _inside(self) -> Floats:
        return np.array([_rank(piece, quote=40.0, brace=8.0) for piece in self._pieces.text], np.float32)

    @cached_property
    def _structure(self) -> Floats:
        return np.array([_rank(piece, quote=10.0, brace=20.0) for piece in self._pieces.text], np.float32)

    @cached_property
    def _first_bytes(self) -> NDArray[np.uint8]:
        return np.array([piece[0] if piece else 0 for piece in self._pieces.text], np.uint8)

    @cached_property
    def _letters(self) -> NDArray[np.intp]:
        letters = {bytes([letter]) for letter in _STRING_LETTERS}
        return np.array([token for token, piece in enumerate(self._pieces.text) if piece in letters], np.intp)


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
        if self.plan is None and left > self._check_at:
            return False
        plan = self._closer.find(after, left, self._random) if left >= 0 else None
        if plan is None and self.plan is not None:
            return True
        self.plan = plan
        # Where no end is in sight, a search at every token would cost more than the tokens.
        self._check_at = left - max(1, left // 4)
        return False


def _rank(piece: bytes, *, quote: float, brace: float) -> float:
    """How soon a value ends after `piece`; `quote` and `brace` are what beginning with a closing one is worth."""
    text = piece.strip()
    if not text:
        return 0.0
    length = min(len(piece), 8) / 8
    if not text.strip(b'"]}'):
        if text[:1] != b'"':
            return brace + length
        return quote + length if quote > brace or text in (b'"', b'""') else 1.0
    if text in (b"[]", b"{}"):
        return 12.0
    if text[:1] in (b",", b":"):
        return 9.0  # Ends a number or a key that more must follow.
    if text in (b"[", b"{"):
        return 2.0
    if b"\\" in text or b"{" in text or b"[" in text:
        return -5.0
    if len(text) == 1 and not text.isalnum():
        return 8.5 if text.isascii() else 1.0
    if text.isdigit():
        return 8.0 - length
    if b"null".startswith(text):
        return 7.0 + length
    if b"true".startswith(text) or b"false".startswith(text):
        return 6.0 + length
    return 4.0 + length

"""The bytes of every token, read once. Knows bytes and ids, not what a model does with them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from fclocal.engine.sampling import Allowed
from fclocal.native.binding import Vocabulary


class Pieces:
    """The bytes of the tokens of one vocabulary. Tables over all tokens are made when they are first needed (0.05 s for
    32,000 tokens)."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._known: dict[int, bytes] = {}

    def piece(self, token: int) -> bytes:
        """The bytes of `token`; special tokens give what they are written as."""
        piece = self._known.get(token)
        if piece is None:
            piece = self._known[token] = self._vocabulary.piece(token)
        return piece

    @cached_property
    def special(self) -> Mapping[int, bytes]:
        """Tokens that are never a part of ordinary text (control tokens and the like), and how they are written."""
        vocabulary = self._vocabulary
        return {token: vocabulary.piece(token) for token in range(vocabulary.size) if vocabulary.is_special(token)}

    @cached_property
    def text(self) -> tuple[bytes, ...]:
        """The bytes of every token, empty for special tokens."""
        vocabulary, special = self._vocabulary, self.special
        return tuple(b"" if token in special else vocabulary.piece(token) for token in range(vocabulary.size))

    @cached_property
    def _by_text(self) -> dict[bytes, int]:
        return {piece: token for token, piece in reversed(tuple(enumerate(self.text))) if piece}

    def credit(self, token: int, allowed: Allowed) -> int | None:
        """The longest allowed token that `token` begins with, or None."""
        piece = self.text[token]
        for size in range(len(piece) - 1, 0, -1):
            shorter = self._by_text.get(piece[:size])
            if shorter is not None and allowed[shorter]:
                return shorter
        return None

"""The reply as it grows: its tokens, its text, and which token wrote which character. Knows no calls."""

from __future__ import annotations

import codecs
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from fclocal.engine.request import Token


class Draft:
    """Tokens and the text they spell. Incomplete UTF-8 waits for its rest; invalid bytes become U+FFFD."""

    def __init__(self) -> None:
        self.tokens: list[Token] = []
        self.text = ""
        self._ends: list[int] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, tokens: Iterable[Token]) -> str:
        """Append tokens and return the new text."""
        before = len(self.text)
        for token in tokens:
            self.text += self._decoder.decode(token.piece)
            self.tokens.append(token)
            self._ends.append(len(self.text))
        return self.text[before:]

    def finish(self) -> str:
        """The rest of the text, when bytes were left over."""
        rest = self._decoder.decode(b"", final=True)
        self.text += rest
        return rest

    def keep(self, count: int) -> None:
        """Forget all but the first `count` tokens."""
        kept = self.tokens[:count]
        self.__init__()  # type: ignore[misc]  # the same empty state as a new draft
        self.add(kept)

    def token_at(self, char: int) -> int:
        """Index of the token that wrote character `char`."""
        return bisect_right(self._ends, char)

    def written(self, start: int, end: int) -> Sequence[Token]:
        """The tokens that wrote any of the characters from `start` up to `end`."""
        return self.tokens[self.token_at(start) : self.token_at(end - 1) + 1] if end > start else ()

    def logprob(self, start: int, end: int) -> float | None:
        """Sum of the log-probabilities of the sampled tokens in a range; None when all were forced."""
        sampled = [token.logprob for token in self.written(start, end) if token.logprob is not None]
        return sum(sampled) if sampled else None

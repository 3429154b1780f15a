"""Find stop strings in streamed bytes and hold back what could become one. Knows bytes and tokens, not models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fclocal.engine.request import Token


class StopScanner:
    """Passes tokens through until a stop string is complete; no byte of a stop string ever leaves."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop.encode("utf-8", "replace") for stop in stops if stop)
        self._held: list[Token] = []
        self.found = False

    def push(self, tokens: Sequence[Token]) -> list[Token]:
        """Take `tokens` and give those that can leave. After a stop string was found, `found` is true and the rest is
        dropped; a token that a stop string begins in leaves with its piece cut there."""
        if not self._stops:
            return list(tokens)
        free: list[Token] = []
        for token in tokens:
            self._held.append(token)
            text = b"".join(held.piece for held in self._held)
            starts = [at for stop in self._stops if (at := text.find(stop)) >= 0]
            if starts:
                self.found = True
                return free + self._take(min(starts), cut=True)
            free += self._take(len(text) - self._suspicious(text), cut=False)
        return free

    def flush(self) -> list[Token]:
        """Everything that was held back: the reply ended without a stop string."""
        held, self._held = self._held, []
        return held

    def _suspicious(self, text: bytes) -> int:
        """Length of the longest end of `text` that begins a stop string."""
        longest = max(len(stop) for stop in self._stops) - 1
        for size in range(min(longest, len(text)), 0, -1):
            end = text[-size:]
            if any(stop.startswith(end) for stop in self._stops):
                return size
        return 0

    def _take(self, size: int, *, cut: bool) -> list[Token]:
        """Remove the tokens of the first `size` held bytes; `cut` also takes the part of a token that reaches over and
        drops the rest."""
        taken: list[Token] = []
        while self._held and (len(self._held[0].piece) <= size):
            size -= len(self._held[0].piece)
            taken.append(self._held.pop(0))
        if cut:
            if size and self._held:
                taken.append(replace(self._held[0], piece=self._held[0].piece[:size]))
            self._held.clear()
        return taken

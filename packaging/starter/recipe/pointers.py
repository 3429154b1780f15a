"""Which token of the text before each token of a reply repeats. Knows tokens and groups, no tensors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from recipe.sources import ENTRY_OPENERS, OPENERS, Look, whole
from recipe.tokens import token_bytes

NO_TOKEN = 0  # the index of a begin token, which nothing repeats
OPENING = OPENERS | ENTRY_OPENERS


def pointers(look: Look, before: Sequence[int], groups: Sequence[int]) -> list[int]:
    """For each token of a reply the index of the one that it repeats in the text `before` it, or NO_TOKEN.

    Where a token stands more than once, the longest run of tokens is meant that the reply goes on to repeat; among
    equals the one of the better source, then a name where it is declared, then the next one to be read.
    """
    index = Index(look, before, groups)
    found = [NO_TOKEN] * len(look.tokens)
    at, last = 0, NO_TOKEN
    while at < len(found):
        count, start = index.longest(at, last)
        if count and not (digit(look.tokens[at]) and index.number(at) > count):
            found[at : at + count] = range(start, start + count)
            last = start + count - 1
        at += max(1, count, index.number(at))
    return found


def digit(token: int) -> bool:
    return token_bytes(token).isdigit()


class Index:
    """Where the tokens of a reply stand in the text before it."""

    def __init__(self, look: Look, before: Sequence[int], groups: Sequence[int]) -> None:
        self.look, self.before = look, before
        self.sources = [whole(group) for group in groups]
        self.places: dict[tuple[int, int], list[int]] = defaultdict(list)
        for place, (source, token) in enumerate(zip(self.sources, before, strict=True)):
            self.places[source, token].append(place)

    def longest(self, at: int, last: int) -> tuple[int, int]:
        """Length and begin of the best run for the reply's tokens from `at` on; 0 when there is none. Only letters are
        looked for in another source than the best: a digit or a mark stands there by chance."""
        tokens, copies = self.look.tokens, self.look.copies
        best = (0, 0, False, False, 0)
        for order, source in enumerate(copies[at] if token_bytes(tokens[at]).isalpha() else copies[at][:1]):
            for start in self.places[source, tokens[at]]:
                count = self.run(at, start, source)
                best = max(best, (count, -order, self.before[start - 1] in OPENING, start > last, -start))
        return best[0], -best[4]

    def run(self, at: int, start: int, source: int) -> int:
        """How many tokens from `at` on stand from `start` on in the source."""
        tokens, copies = self.look.tokens, self.look.copies
        count = 0
        while (
            at + count < len(tokens)
            and start + count < len(self.before)
            and source in copies[at + count]
            and self.sources[start + count] == source
            and self.before[start + count] == tokens[at + count]
        ):
            count += 1
        return count

    def number(self, at: int) -> int:
        """How many digits follow each other in the reply from `at` on."""
        count = 0
        while at + count < len(self.look.tokens) and digit(self.look.tokens[at + count]):
            count += 1
        return count

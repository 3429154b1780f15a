"""What speaks for a value: the words, the side that said them, and whether they say it or only imply it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

from fclocal.chat.folding import stem, words_of
from fclocal.chat.heard import Heard, Passage, Side
from fclocal.chat.questions import readable
from fclocal.functions import Function, Json, JsonObject

_RANKS: dict[tuple[Side, bool], int] = {("user", True): 0, ("result", True): 1, ("user", False): 2}
_RANKS |= {("result", False): 3, ("agreed", True): 4, ("agreed", False): 4, ("reply", True): 5, ("reply", False): 5}
MAX_DESCRIPTION = 400


@dataclass(frozen=True, slots=True)
class Evidence:
    """A passage for a value. `said` is False where the value only follows from it."""

    side: Side
    said: bool
    passage: Passage

    @property
    def rank(self) -> int:
        """0 for what the user said; the higher, the weaker."""
        return _RANKS[self.side, self.said]

    @property
    def implied(self) -> Evidence:
        """The same words, from which the value only follows."""
        return replace(self, said=False)


Matcher: TypeAlias = Callable[[Heard], tuple[int, int, bool] | None]


@dataclass(frozen=True)
class Leaf:
    """One plain value of a call and what the schema says of its place. `beside` are the other texts of the call."""

    name: str
    schema: JsonObject
    function: Function
    beside: tuple[str, ...] = field(default=(), repr=False)

    @cached_property
    def name_words(self) -> tuple[str, ...]:
        """The argument's name as folded words."""
        return words_of(readable(self.name))

    @cached_property
    def about(self) -> frozenset[str]:
        """Stems of the argument's name and description."""
        described = self.schema.get("description")
        text = described[:MAX_DESCRIPTION] if isinstance(described, str) else ""
        return frozenset(map(stem, (*self.name_words, *words_of(text))))

    @cached_property
    def function_words(self) -> frozenset[str]:
        """Stems of the function's name."""
        return frozenset(map(stem, words_of(readable(self.function.name))))

    @cached_property
    def beside_stems(self) -> frozenset[str]:
        """Stems of the other texts of the call."""
        return frozenset(stem(word) for text in self.beside for word in words_of(text)[:20])

    @cached_property
    def nouns(self) -> frozenset[str]:
        """Stems of what a count may be a count of: the argument's own words and the texts beside it."""
        return self.about | self.beside_stems


def first(heard: Iterable[Heard], matcher: Matcher) -> Evidence | None:
    """The strongest evidence that `matcher` finds in the messages, the newest of equals. What the model said itself
    only implies, and only where the user agreed to it."""
    best: Evidence | None = None
    for message in heard:
        if message.side == "reply":
            continue
        found = matcher(message)
        if found is not None:
            start, end, said = found
            evidence = Evidence(message.side, said and message.side != "agreed", message.passage(start, end))
            best = stronger(best, evidence)
            if best is not None and best.rank == 0:
                return best
    return best


def stronger(one: Evidence | None, other: Evidence | None) -> Evidence | None:
    """The better of two, the first of equals."""
    if one is None or other is None:
        return one or other
    return other if other.rank < one.rank else one


def weakest(parts: Sequence[Evidence | None]) -> Evidence | None:
    """Evidence for a whole of which every part needs its own: as weak as its weakest part, None if one has none."""
    found = [part for part in parts if part is not None]
    if not found or len(found) < len(parts):
        return None
    return max(found, key=lambda part: part.rank)


def flat_texts(value: Json) -> tuple[str, ...]:
    """Every string inside a value."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, dict):
        return tuple(text for item in value.values() for text in flat_texts(item))
    if isinstance(value, list | tuple):
        return tuple(text for item in value for text in flat_texts(item))
    return ()

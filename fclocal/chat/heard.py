"""What was said, made comparable: folded text whose every stretch leads back to the original. Knows no schemas."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain, repeat
from typing import Literal, TypeAlias

from fclocal.chat.numbers import Said, said_numbers
from fclocal.messages import AssistantMessage, FunctionResult, Message, SystemMessage, UserMessage

Side: TypeAlias = Literal["user", "result", "reply"]

MAX_INDEXED = 40_000
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_SPECIAL = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u02bc\u2032\u00b4`", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb\u2033", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        "\u2044": "/",
        "\u00d7": "*",
        "\u00f7": "/",
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", ""),
    }
)
_FRACTIONS = {"\u00bd": " 1/2", "\u00bc": " 1/4", "\u00be": " 3/4", "\u2153": " 1/3", "\u2154": " 2/3"}
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\u0e00-\u0e7f]")


@dataclass(frozen=True, slots=True)
class Word:
    """One folded word and its place in the folded text."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a message: its words as written, the message's index and the span in it."""

    text: str
    message: int
    span: tuple[int, int]


class Heard:
    """One message. `text` is folded: no case, no diacritics, plain quotes and dashes. Words and numbers are read when
    first asked for, in the first and last MAX_INDEXED characters of a longer message."""

    def __init__(self, index: int, side: Side, raw: str) -> None:
        self.index = index
        self.side = side
        self.raw = raw
        self.text, self._offsets = _fold_with_offsets(raw)

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """The words in their order."""
        found = (Word(match.group(), match.start(), match.end()) for match in chain.from_iterable(self._each(_WORD)))
        return tuple(found)

    @cached_property
    def positions(self) -> dict[str, list[int]]:
        """Singular of each word -> its numbers in `words`."""
        found: dict[str, list[int]] = {}
        for number, word in enumerate(self.words):
            found.setdefault(singular(word.text), []).append(number)
        return found

    @cached_property
    def numbers(self) -> tuple[Said, ...]:
        """The numbers, in digits and in words."""
        return tuple(said for start, part in self._windows() for said in said_numbers(part, offset=start))

    @cached_property
    def squashed(self) -> tuple[str, tuple[int, ...]]:
        """The letters and digits alone, and the place of each in `text`."""
        places = [at for start, part in self._windows() for at, char in enumerate(part, start) if char.isalnum()]
        return "".join(map(self.text.__getitem__, places)), tuple(places)

    def passage(self, start: int, end: int) -> Passage:
        """The original words of a stretch of the folded text."""
        if self._offsets is not None:
            start, end = self._offsets[start], (self._offsets[end - 1] + 1 if end > start else self._offsets[start])
        return Passage(self.raw[start:end], self.index, (start, end))

    def _windows(self) -> Iterator[tuple[int, str]]:
        if len(self.text) <= 2 * MAX_INDEXED:
            yield 0, self.text
            return
        yield 0, self.text[:MAX_INDEXED]
        last = len(self.text) - MAX_INDEXED
        yield last, self.text[last:]

    def _each(self, pattern: re.Pattern[str]) -> Iterator[Iterator[re.Match[str]]]:
        ends = (0, len(self.text))
        if len(self.text) <= 2 * MAX_INDEXED:
            yield pattern.finditer(self.text)
            return
        yield pattern.finditer(self.text, ends[0], MAX_INDEXED)
        yield pattern.finditer(self.text, ends[1] - MAX_INDEXED)


def hear(messages: Sequence[Message]) -> tuple[Heard, ...]:
    """Every message that says something, the newest first."""
    found = []
    for index in range(len(messages) - 1, -1, -1):
        match messages[index]:
            case UserMessage(text=text) | SystemMessage(text=text) if text:
                found.append(Heard(index, "user", text))
            case FunctionResult(content=text) if text:
                found.append(Heard(index, "result", text))
            case AssistantMessage(text=text) if text:
                found.append(Heard(index, "reply", text))
    return tuple(found)


def fold(text: str) -> str:
    """`text` without case and diacritics, with plain quotes and dashes."""
    return text.lower() if text.isascii() else "".join(map(_fold_char, text))


def words_of(text: str) -> tuple[str, ...]:
    """The folded words of a short text."""
    return tuple(_WORD.findall(fold(text)))


def has_cjk(text: str) -> bool:
    """Whether `text` is written without spaces between words."""
    return _CJK.search(text) is not None


@lru_cache(maxsize=8192)
def singular(word: str) -> str:
    """The word without a plural or possessive ending; a rough English rule that treats both sides alike."""
    if word.endswith("'s"):
        word = word[:-2]
    word = word.replace("'", "")
    if len(word) <= 3 or word.endswith("ss") or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("xes", "ches", "shes", "sses", "zes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("us", "is")) else word


@lru_cache(maxsize=4096)
def _fold_char(char: str) -> str:
    if char in _FRACTIONS:
        return _FRACTIONS[char]
    plain = "".join(part for part in unicodedata.normalize("NFKD", char) if not unicodedata.combining(part))
    return plain.translate(_SPECIAL).casefold()


def _fold_with_offsets(raw: str) -> tuple[str, Sequence[int] | None]:
    """The folded text, and where each of its characters came from (None: from the same place)."""
    if raw.isascii():
        return raw.lower(), None
    table = {char: _fold_char(char) for char in set(raw)}
    if all(len(folded) == 1 for folded in table.values()):
        return raw.translate({ord(char): folded for char, folded in table.items()}), None
    folded = [table[char] for char in raw]
    offsets = chain.from_iterable(repeat(at, len(part)) for at, part in enumerate(folded))
    return "".join(folded), tuple(offsets)

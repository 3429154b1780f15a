"""What was said, made comparable: folded text whose every stretch leads back to the original. Knows no schemas."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import islice
from typing import Literal, NamedTuple, TypeAlias

from fclocal.chat.dates import SaidDate, explicit_dates, said_dates
from fclocal.chat.folding import LETTERS, NO_LETTER, WORD, fold, fold_with_offsets, singular, stem
from fclocal.chat.numbers import Said, said_numbers
from fclocal.chat.times import SaidTime, said_times
from fclocal.chat.units import Quantity, quantities
from fclocal.messages import AssistantMessage, FunctionResult, Message, SystemMessage, UserMessage

Side: TypeAlias = Literal["user", "result", "agreed", "reply"]

MAX_INDEXED = 10_000
MIN_INDEXED = 500
MAX_INDEXED_IN_ALL = 60_000
MAX_NUMBERS = 2_000
MAX_MOMENTS = 200
MAX_BASES = 3
MAX_BASE_MESSAGES = 40
MAX_BASE_TEXT = 2_000
_AGREES = re.compile(
    r"\s*(?:(?:yes|yeah|yep|yup|sure|ok|okay|please|do|go|sounds|perfect|great|good|fine|agreed|absolutely|exactly)\b"
    r"|(?:correct|right|that|this|both|alright|definitely|ja|si|oui)\b"
    r"|book it|take it|(?:i'll |i will )?(?:take|like|want|choose) (?:it|that|the)\b"
    r"|(?:the )?(?:first|second|third|fourth|last|latter|former|one|two|three|[1-9])\b(?: one| option)?\W*$"
    r"|(?:option|number) )"
)


class Word(NamedTuple):
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
    """One message. `text` is folded: no case, no diacritics, plain quotes and dashes.

    Words, numbers, dates and times are read when first asked for, in the first and last `limit` characters of a
    longer message. `bases` are the days from which "tomorrow" may be counted.
    """

    def __init__(
        self, index: int, side: Side, raw: str, *, bases: Sequence[date] = (), limit: int = MAX_INDEXED
    ) -> None:
        self.index = index
        self.side = side
        self.raw = raw
        self.bases = bases
        self.limit = limit
        self.text, self._offsets = fold_with_offsets(raw)

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """The words in their order."""
        return tuple(
            Word(match.group(), start + match.start(), start + match.end())
            for start, part in self._windows
            for match in WORD.finditer(part)
        )

    @cached_property
    def positions(self) -> dict[str, list[int]]:
        """Singular of each word -> its numbers in `words`."""
        found: dict[str, list[int]] = {}
        for number, word in enumerate(self.words):
            found.setdefault(singular(word.text), []).append(number)
        return found

    @cached_property
    def stems(self) -> dict[str, int]:
        """Stem of each word -> the number of its first place in `words`."""
        found: dict[str, int] = {}
        for number, word in enumerate(self.words):
            found.setdefault(stem(word.text), number)
        return found

    @cached_property
    def numbers(self) -> tuple[Said, ...]:
        """The numbers, in digits and in words."""
        found = (said for start, part in self._windows for said in said_numbers(part, offset=start))
        return tuple(islice(found, MAX_NUMBERS))

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """The numbers with units."""
        ends = [(start, start + len(part)) for start, part in self._windows]
        return tuple(quantities(self.text, self.numbers, ends))

    @cached_property
    def dates(self) -> tuple[SaidDate, ...]:
        """The dates, counted from each of `bases`."""
        return tuple(
            SaidDate(said.days, said.start + start, said.end + start, said.exact)
            for start, part in self._windows
            for base in self.bases
            for said in islice(said_dates(part, base), MAX_MOMENTS)
        )

    @cached_property
    def times(self) -> tuple[SaidTime, ...]:
        """The times of day."""
        return tuple(
            SaidTime(said.minutes, said.start + start, said.end + start, said.exact)
            for start, part in self._windows
            for said in islice(said_times(part), MAX_MOMENTS)
        )

    @cached_property
    def squashed(self) -> str:
        """The letters and digits alone."""
        return "".join(NO_LETTER.sub("", part) for _, part in self._windows)

    @cached_property
    def squashed_places(self) -> tuple[int, ...]:
        """The place in `text` of each character of `squashed`."""
        return tuple(
            start + at
            for start, part in self._windows
            for match in LETTERS.finditer(part)
            for at in range(match.start(), match.end())
        )

    @property
    def whole(self) -> bool:
        """Whether all of the text is read word by word."""
        return len(self.text) <= 2 * self.limit

    def passage(self, start: int, end: int) -> Passage:
        """The original words of a stretch of the folded text."""
        if self._offsets is not None and end > start:
            start, end = self._offsets[start], self._offsets[end - 1] + 1
        return Passage(self.raw[start:end], self.index, (start, end))

    @cached_property
    def _windows(self) -> tuple[tuple[int, str], ...]:
        """The parts of the text that are read word by word, each with its place."""
        if self.whole:
            return ((0, self.text),)
        last = len(self.text) - self.limit
        return ((0, self.text[: self.limit]), (last, self.text[last:]))


def hear(messages: Sequence[Message], *, today: date) -> tuple[Heard, ...]:
    """Every message that says something, the newest first.

    What the model itself said counts as agreed to when the user's next message takes it up ("yes, do that").
    """
    bases = _bases(messages, today)
    found: list[Heard] = []
    left = MAX_INDEXED_IN_ALL
    follows = ""
    for index in range(len(messages) - 1, -1, -1):
        side: Side
        match messages[index]:
            case UserMessage(text=text):
                side, follows = "user", text
            case SystemMessage(text=text):
                side = "user"
            case FunctionResult(content=text):
                side = "result"
            case AssistantMessage(text=text):
                side = "agreed" if _AGREES.match(fold(follows[:200])) else "reply"
                follows = follows if not text else ""
        if text:
            limit = min(MAX_INDEXED, max(left // 2, MIN_INDEXED))
            found.append(Heard(index, side, text, bases=bases, limit=limit))
            left -= min(len(text), 2 * limit)
    return tuple(found)


def _bases(messages: Sequence[Message], today: date) -> tuple[date, ...]:
    """Today, and the days that the system or a result names: there "tomorrow" may be counted from."""
    days = [today]
    for message in reversed(messages[-MAX_BASE_MESSAGES:] if len(messages) > MAX_BASE_MESSAGES else messages):
        if isinstance(message, SystemMessage | FunctionResult):
            text = message.text if isinstance(message, SystemMessage) else message.content
            days += islice(explicit_dates(text[:MAX_BASE_TEXT]), 1)
    return tuple(dict.fromkeys(days))[:MAX_BASES]

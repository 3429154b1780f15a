"""Find a phrase, a run of letters and digits, or nearby words in one message. Pure search."""

from __future__ import annotations

from collections.abc import Sequence

from fclocal.chat.folding import singular
from fclocal.chat.heard import Heard

GAP = 3
MAX_TYPO_WORDS = 4_000


def find_exact(folded: str, message: Heard) -> tuple[int, int] | None:
    """The first place of `folded` that no letter or digit continues."""
    text = message.text
    if not folded:
        return None
    at = text.find(folded)
    while at >= 0:
        end = at + len(folded)
        if not _continues(text, at - 1, -1) and not _continues(text, end, 1):
            return at, end
        at = text.find(folded, at + 1)
    return None


def find_inside(folded: str, message: Heard) -> tuple[int, int] | None:
    """The first place of `folded`, whatever stands around it."""
    at = message.text.find(folded)
    return (at, at + len(folded)) if folded and at >= 0 else None


def find_words(words: Sequence[str], message: Heard) -> tuple[int, int] | None:
    """The first place where `words` follow one another, up to plurals and punctuation."""
    if not words:
        return None
    wanted = [singular(word) for word in words]
    said = message.words
    rarest = min(range(len(wanted)), key=lambda number: len(message.positions.get(wanted[number], ())))
    for position in message.positions.get(wanted[rarest], ()):
        begin = position - rarest
        if begin < 0 or begin + len(wanted) > len(said):
            continue
        if all(singular(said[begin + number].text) == word for number, word in enumerate(wanted)):
            return said[begin].start, said[begin + len(wanted) - 1].end
    return None


def find_near(words: Sequence[str], message: Heard) -> tuple[int, int] | None:
    """The first place where all `words` stand close together, in any order, up to plurals."""
    wanted = {singular(word) for word in words}
    places = [message.positions.get(word) for word in wanted]
    if not wanted or any(not found for found in places):
        return None
    rarest = min((found for found in places if found), key=len)
    for position in rarest:
        near = [min(found, key=lambda other: abs(other - position)) for found in places if found]
        if max(near) - min(near) < len(wanted) + GAP:
            return message.words[min(near)].start, message.words[max(near)].end
    return None


def find_squashed(letters: str, message: Heard) -> tuple[int, int] | None:
    """The first place of `letters` when everything but letters and digits is left out of the message."""
    text = message.squashed
    at = text.find(letters)
    while at >= 0 and letters:
        places = message.squashed_places
        start, end = places[at], places[at + len(letters) - 1] + 1
        if not _continues(message.text, start - 1, -1) and not _continues(message.text, end, 1):
            return start, end
        at = text.find(letters, at + 1)
    return None


def find_typo(word: str, message: Heard) -> tuple[int, int] | None:
    """A word of the message that differs from `word` by one slip, or by two in a long word."""
    if len(word) < 6 or not word.isalpha():
        return None
    most = 2 if len(word) >= 10 else 1
    for said in message.words[:MAX_TYPO_WORDS]:
        text = said.text
        if text[0] == word[0] and abs(len(text) - len(word)) <= most and slips(text, word, most) <= most:
            return said.start, said.end
    return None


def slips(one: str, other: str, most: int) -> int:
    """How many letters are missing, added, changed or swapped between two words; counts up to `most` + 1."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, char in enumerate(one, 1):
        above, row = row, [at]
        for number, letter in enumerate(other, 1):
            cost = min(above[number] + 1, row[-1] + 1, above[number - 1] + (char != letter))
            if at > 1 and number > 1 and char == other[number - 2] and one[at - 2] == letter:
                cost = min(cost, before[number - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
        before = above
    return row[-1]


def _continues(text: str, at: int, step: int) -> bool:
    """Whether the character at `at`, `step` outside of what was found, goes on its word or number."""
    if not 0 <= at < len(text):
        return False
    edge, outside = text[at - step], text[at]
    if edge.isdigit() and outside in ".,":
        return text[max(at + step, 0) : at + step + 1].isdigit()
    return edge.isalnum() and outside.isalnum() and (outside.isascii() or edge.isascii())

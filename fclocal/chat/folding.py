"""Text made comparable: case, diacritics, quotes, plurals and endings taken off. Pure string work."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, repeat


def spelled(text: str) -> tuple[str, ...]:
    """The words of a list that is written with blanks."""
    return tuple(text.split())


WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
MAX_EXPANDED = 100_000
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "å": "aa", "ø": "oe"})
LETTERS = re.compile(r"[^\W_]+")
NO_LETTER = re.compile(r"[\W_]+")
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
_ENDINGS = spelled("ization isation ations ation ingly edly ings ing ions ion ers er ed ly")
_IRREGULAR = dict(
    pair.split(":")
    for pair in spelled("""
    ran:run swam:swim swum:swim went:go gone:go bought:buy sent:send wrote:write written:write rode:ride ridden:ride
    drove:drive won:win children:child men:man women:woman people:person feet:foot met:meet bikes:bike mice:mouse
    paid:pay said:say told:tell spoke:speak lost:lose broke:break broken:break made:make sold:sell slept:sleep
    """)
)
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\u0e00-\u0e7f]")


def fold(text: str) -> str:
    """`text` without case and diacritics, with plain quotes and dashes."""
    return text.lower() if text.isascii() else "".join(map(_fold_char, text))


def spelled_out(text: str) -> str:
    """`text` with its umlauts as two letters."""
    return text.translate(_UMLAUTS)


def unlauted(text: str) -> str:
    """Folded text in which ae, oe and ue are as a fold leaves the umlauts."""
    return text.replace("ae", "a").replace("oe", "o").replace("ue", "u")


def words_of(text: str) -> tuple[str, ...]:
    """The folded words of a short text."""
    return tuple(WORD.findall(fold(text)))


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """A rough English stem: "running", "runs" and "ran" are "run". It need only treat both sides alike."""
    word = _IRREGULAR.get(word) or singular(word)
    word = _IRREGULAR.get(word, word)
    if len(word) <= 4 or not word.isalpha():
        return word
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word.rstrip("e") if len(word) > 3 else word


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


def fold_with_offsets(raw: str) -> tuple[str, Sequence[int] | None]:
    """The folded text, and where each of its characters came from (None: from the same place)."""
    if raw.isascii():
        return raw.lower(), None
    table = {char: _fold_char(char) for char in set(raw)}
    if len(raw) > MAX_EXPANDED:
        table = {char: folded if len(folded) == 1 else char for char, folded in table.items()}
    if all(len(folded) == 1 for folded in table.values()):
        return raw.translate({ord(char): folded for char, folded in table.items()}), None
    folded = [table[char] for char in raw]
    offsets = chain.from_iterable(repeat(at, len(part)) for at, part in enumerate(folded))
    return "".join(folded), tuple(offsets)

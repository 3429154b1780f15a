"""What the user typed into a search, as FTS5 and LIKE patterns, and the excerpt of what was found."""

from __future__ import annotations

import re

from fclocal.chat.folding import fold, has_cjk

AROUND = 60
_WORD = re.compile(r"[^\W_]+")


def match_query(words: str) -> str:
    """An FTS5 query for every word of `words`, the last as a beginning; empty when there is none."""
    found = [] if has_cjk(words) else _WORD.findall(words)
    return " ".join(f'"{word}"' for word in found) + "*" if found else ""


def plain_needles(words: str) -> tuple[str, ...]:
    """LIKE patterns, one for each stretch of `words` between blanks."""
    escaped = (re.sub(r"([%_\\])", r"\\\1", word) for word in words.split())
    return tuple(f"%{word}%" for word in escaped)


def excerpt(text: str, words: str) -> str:
    """One line of `text` around the first place where one of `words` is."""
    folded = fold(text)
    places = [folded.find(fold(word)) for word in words.split()] if len(folded) == len(text) else []
    at = min((place for place in places if place >= 0), default=0)
    start, end = max(0, at - AROUND), at + 2 * AROUND
    line = " ".join(text[start:end].split())
    return f"{'...' if start else ''}{line}{'...' if end < len(text) else ''}"

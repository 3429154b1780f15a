"""Values that models write when they have none: "string", "<name>", "your_city", "N/A"."""

from __future__ import annotations

import re

from fclocal.chat.evidence import Leaf
from fclocal.chat.folding import fold, spelled, stem, words_of

# Only what may stand in a conversation by chance; a value that nobody said is unsupported without this list.
_WORDS = frozenset(
    spelled("""
    string str text value name number integer int float object array list date item unknown none null nil n/a na tbd tba
    tbc todo undefined unspecified empty missing placeholder username recipient subject body content description title
    message file filename path city reminder event alarm timer it this that these those them him something someone
    somebody somewhere anything anyone thing stuff
    """)
)
_SHAPES = re.compile(
    r"[<\[{(]+[^<>\[\]{}()]*[>\]})]+"
    r"|not (?:specified|provided|given|available|applicable|known|set)|to be (?:determined|decided)"
    r"|your[ _-]\w+(?:[ _-]\w+)?|.*your_\w+.*|.*\bgoes here\b.*"
    r"|(?:some|sample|dummy|placeholder|any)[ _-](?:text|value|name|string|content|file|city|title|message|thing)s?"
    r"|\.{2,}|[-_?*# ]*"
)
_FIELDS = frozenset(map(stem, spelled("column columns field fields key keys attribute property properties header")))


def is_placeholder(text: str, leaf: Leaf) -> bool:
    """Whether `text` stands for a value that nobody gave, judged by itself and the argument's name."""
    folded = " ".join(fold(text).split())
    if leaf.about & _FIELDS:
        return bool(_SHAPES.fullmatch(folded))
    if folded in _WORDS or _SHAPES.fullmatch(folded):
        return True
    said = tuple(map(stem, words_of(text)))
    return bool(said) and said == tuple(map(stem, leaf.name_words))

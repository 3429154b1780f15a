"""Values that models write when they have none: "string", "<name>", "your_city", "N/A", "john@example.com"."""

from __future__ import annotations

import re

from fclocal.chat.evidence import Leaf
from fclocal.chat.folding import fold, spelled, stem, words_of

_WORDS = frozenset(
    spelled("""
    string str text value name number integer int float object array list date unknown none null nil n/a na tbd tba tbc
    todo undefined unspecified empty missing placeholder example sample test dummy default foo bar baz qux xxx abc user
    username anytown city example.com recipient subject body content description title message file filename path
    reminder event alarm timer yyyy-mm-dd dd.mm.yyyy mm/dd/yyyy hh:mm 1234567890 0000000000 any all password
    """)
)
_PHRASES = re.compile(
    r"not (?:specified|provided|given|available|applicable|known|set)|to be (?:determined|decided)|lorem ipsum.*"
    r"|(?:john|jane) (?:doe|smith)|first last|full name|(?:123 main st(?:reet)?|main street 123)\b.*|any city|city name"
)
_SHAPES = re.compile(
    r"[<\[{(]+[^<>\[\]{}()]*[>\]})]+"
    r"|(?:your|insert|enter|add|provide|specify|some|given|sample|dummy|placeholder)[ _-].+"
    r"|(?:example|test)[ _-]?\w{0,20}|.*\b(?:placeholder|goes here|your[_ ]\w+)\b.*"
    r"|x{3,}|\.{2,}|[-_?*.# ]*|0+|(.)\1{4,}"
)
_FIELDS = frozenset(map(stem, spelled("column columns field fields key keys attribute property properties header")))
_EXAMPLE_HOST = re.compile(
    r"(?:.*[@/.])?(?:example|test|domain|yourdomain|company|email|sample)\.(?:com|org|net|test)(?:/.*)?"
)


def is_placeholder(text: str, leaf: Leaf) -> bool:
    """Whether `text` stands for a value that nobody gave, judged by itself and the argument's name."""
    folded = " ".join(fold(text).split())
    if leaf.about & _FIELDS:
        return bool(_SHAPES.fullmatch(folded))
    if folded in _WORDS or _PHRASES.fullmatch(folded) or _SHAPES.fullmatch(folded):
        return True
    said = tuple(map(stem, words_of(text)))
    return bool(said) and said == tuple(map(stem, leaf.name_words))


def is_example_address(text: str) -> bool:
    """Whether `text` is an address at a host that only examples use."""
    return _EXAMPLE_HOST.fullmatch(fold(text).strip()) is not None

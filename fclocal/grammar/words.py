"""Small regular expressions made from plain words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from fclocal.grammar.ecma import literal

Tree: TypeAlias = "dict[str, Tree]"

_META = frozenset(".^$*+?()[]{}|\\")


def all_but(words: Sequence[str]) -> str:
    """A pattern for every text except these; halves of surrogate pairs can be in no text."""
    tree: Tree = {}
    for word in words:
        if any("\ud800" <= char <= "\udfff" for char in word):
            continue
        node = tree
        for char in word:
            node = node.setdefault(char, {})
        node[""] = {}
    return f"^{_all_but(tree)}$"


def _all_but(node: Tree) -> str:
    """What may follow: nothing unless a word ends here, another character and anything, or a branch of the tree."""
    chars = [char for char in node if char]
    any_rest = r"[\x{0}-\x{10ffff}]*"
    other = f"[^{''.join(map(literal, chars))}]{any_rest}" if chars else rf"[\x{{0}}-\x{{10ffff}}]{any_rest}"
    parts = [other, *(literal(char) + _all_but(node[char]) for char in chars)]
    body = "(?:" + "|".join(parts) + ")"
    return body if "" in node else f"{body}?"


def literal_prefix(pattern: str) -> str:
    """The text that every match of an anchored pattern begins with, as far as it is plain."""
    if not pattern.startswith("^") or "|" in pattern:
        return ""
    found = ""
    for at, char in enumerate(pattern[1:], 1):
        follows = pattern[at + 1 : at + 2]
        if char in _META or follows in ("*", "?", "{"):
            break
        found += char
    return found

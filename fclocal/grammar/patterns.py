"""Patterns of JSON Schema for linear engines. Never runs Python's `re` on them.

Two readings: the exact one for the check (RE2), and a narrow one for the grammar (llguidance), which may leave out
rare characters on which engines disagree but never admits a string that the exact reading refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import re2

from fclocal.grammar.ecma import Rewriter, Unportable

__all__ = ["Spelled", "Unportable", "for_check", "for_grammar", "for_least", "searcher"]

MAX_MEMORY = 8 << 20
MAX_BEFORE = 64

_ANCHORED = re.compile(r"(?:\(\?i\))?(?:\((?:\?:)?)*\^")
_LOOKAHEAD = re.compile(r"\^\(\?([=!])")


@dataclass(frozen=True, slots=True)
class Spelled:
    """A pattern for the grammar: texts in which all of `patterns` are found; without `exact` some of them may still be
    refused by the check."""

    patterns: tuple[str, ...]
    exact: bool


def for_check(pattern: str) -> str:
    """`pattern` for RE2, meaning exactly what it means in ECMA 262. Raises Unportable."""
    return Rewriter(pattern, "exact").rewrite()


def for_grammar(pattern: str) -> Spelled:
    """`pattern` for llguidance: the same or a smaller language, in which the match begins soon. Raises Unportable.

    Endless runs that something must follow are bounded, so that a text can always be brought to an end.
    """
    found: list[str] = []
    exact = True
    for part, wanted in _conjuncts(pattern):
        if not wanted:
            exact = False
            continue
        rewriter = Rewriter(part, "narrow")
        spelled = rewriter.rewrite()
        exact = exact and not rewriter.loose
        found.append(spelled if _ANCHORED.match(part) else f"^[\\x{{0}}-\\x{{10ffff}}]{{0,{MAX_BEFORE}}}(?:{spelled})")
    return Spelled(tuple(found), exact)


def for_least(spelled: str) -> str:
    """A pattern of `for_grammar` cut down to the shortest texts that it admits. Raises Unportable."""
    return f"^(?:{Rewriter(spelled, 'shortest').rewrite()})$"


@lru_cache(maxsize=2048)
def searcher(pattern: str) -> Callable[[str], bool] | None:
    """A function that says whether `pattern` occurs in a text, in linear time; None when RE2 cannot take it."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_MEMORY
    options.never_capture = True
    try:
        parts = [(re2.compile(for_check(part), options), wanted) for part, wanted in _conjuncts(pattern)]
    except (Unportable, re2.error, UnicodeEncodeError):
        return None

    def search(text: str) -> bool:
        clean = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        return all((compiled.search(clean) is not None) is wanted for compiled, wanted in parts)

    return search


def _conjuncts(pattern: str) -> tuple[tuple[str, bool], ...]:
    """A pattern without the lookaheads at its very start: they are patterns of their own, wanted or unwanted."""
    found: list[tuple[str, bool]] = []
    rest = pattern
    while (ahead := _LOOKAHEAD.match(rest)) is not None:
        end = _group_end(rest, ahead.end())
        if "|" in _outside_groups(rest[end:]) or rest[end : end + 1] in ("*", "+", "?", "{"):
            break
        found.append((f"^(?:{rest[ahead.end() : end - 1]})", ahead.group(1) == "="))
        rest = "^" + rest[end:]
    return (*found, (rest, True))


def _group_end(pattern: str, at: int) -> int:
    """Where the group that is open at `at` is closed. Raises Unportable."""
    depth, in_class = 1, False
    while at < len(pattern):
        char = pattern[at]
        at += 2 if char == "\\" else 1
        if in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
        elif char in "()":
            depth += 1 if char == "(" else -1
            if depth == 0:
                return at
    raise Unportable("a group without an end")


def _outside_groups(pattern: str) -> str:
    """What stands in no group."""
    found, at = "", 0
    while at < len(pattern):
        char = pattern[at]
        if char == "(":
            at = _group_end(pattern, at + 1)
            continue
        found += "" if char == "\\" else char
        at += 2 if char == "\\" else 1
    return found

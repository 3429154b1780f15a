"""Evidence for values that are picked rather than said: enum choices and yes or no."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fclocal.chat.evidence import Evidence, Leaf, first
from fclocal.chat.folding import spelled, stem, words_of
from fclocal.chat.heard import Heard
from fclocal.chat.prose import STOP_WORDS
from fclocal.chat.wording import find_text
from fclocal.functions import Json

_NEGATIONS = frozenset(
    spelled("""
        no not without dont don't never nor isn't skip except non exclude disable off stop remove deactivate omit avoid
        doesn't won't can't
    """)
)
_GENERIC = frozenset(
    map(
        stem,
        spelled("""
            whether true false include only must allow allowed show list return flag enable use set send get result if
            item value default want wanted too should also existing all be add make file user option play order
        """),
    )
)
_SPAN = 4


def find_choice(value: Json, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    """Evidence that an enum value was said; None leaves it inferred."""
    if isinstance(value, bool):
        return find_flag(value, leaf, heard)
    text = value if isinstance(value, str) else str(value)
    return find_text(text.replace("_", " "), leaf, heard)


def find_flag(value: bool, leaf: Leaf, heard: Sequence[Heard]) -> Evidence | None:
    """Evidence that a yes or no was said: the argument's own words, with or without a "no" before them."""
    name = tuple(dict.fromkeys(one for one in map(stem, leaf.name_words) if one not in STOP_WORDS | _GENERIC))
    described = leaf.about - set(name) - STOP_WORDS - _GENERIC - leaf.function_words
    for wanted in ((name,), *(((one,),) for one in sorted(described) if len(one) > 3)):
        found = first(heard, lambda message, wanted=wanted[0]: _flag(value, wanted, message))  # type: ignore[misc]  # bound early
        if found is not None:
            return found
    return None


def _flag(value: bool, wanted: Sequence[str], message: Heard) -> tuple[int, int, bool] | None:
    """The place of all `wanted` words, when a negation stands there exactly if `value` is False."""
    numbers = [message.stems[one] for one in wanted if one in message.stems]
    if not wanted or len(numbers) < len(wanted) or max(numbers) - min(numbers) > len(wanted) + _SPAN:
        return None
    begin, end = min(numbers), max(numbers)
    before = [word.text for word in message.words[max(0, begin - _SPAN) : end + 1]]
    after = words_of(message.text[message.words[end].end : message.words[end].end + 20])[:2]
    negated = any(word in _NEGATIONS or word.endswith("n't") for word in before) or bool(
        set(after) & {"off", "no", "false"}
    )
    if negated == value or re.search(r"\?\s*$", message.text[message.words[end].end :][:3]):
        return None
    return message.words[begin].start, message.words[end].end, True

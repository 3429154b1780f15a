"""Make a dialect's own markers harmless inside JSON, without loss. Knows JSON strings and nothing of prompts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from fclocal.functions import Json


def escape_markers(json_text: str, markers: Sequence[str]) -> str:
    r"""Spell the first character of each of `markers` inside `json_text` as a \u escape.

    The JSON value stays the same. Markers begin with a character that is neither JSON syntax outside strings nor the
    second half of an escape, so every occurrence in valid JSON stands inside a string.
    """
    if not markers:
        return json_text
    pattern = re.compile("|".join(f"(?={re.escape(marker)})." for marker in markers), re.DOTALL)
    return pattern.sub(lambda found: f"\\u{ord(found[0]):04x}", json_text)


def dump(value: Json, *, indent: int | None = None) -> str:
    """JSON as the dialects write it: default separators, any script as it is."""
    return json.dumps(value, indent=indent, ensure_ascii=False, default=dict)


def result_json(content: str, markers: Sequence[str]) -> str:
    """A result as JSON text: as it was given if it is JSON, else as a JSON string; `markers` made harmless."""
    stripped = content.strip()
    return escape_markers(stripped if is_json(stripped) else dump(content), markers)


def is_json(text: str) -> bool:
    """Whether `text` is one JSON value by the standard (no NaN or Infinity)."""
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(word: str) -> Json:
    raise ValueError(f"{word} is not JSON")

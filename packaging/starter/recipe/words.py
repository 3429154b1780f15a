"""Word lists of words/*.toml. Knows files and lists, not how a value is composed from them."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path

WORDS_FOLDER = Path(__file__).resolve().parent.parent / "words"


@lru_cache(maxsize=1)
def lists() -> dict[str, tuple[str, ...]]:
    """Every list by its key; a list is one comma-separated string in its file (`|`-separated if it holds commas)."""
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted(WORDS_FOLDER.glob("*.toml")):
        for key, text in tomllib.loads(path.read_text(encoding="utf-8")).items():
            separator = "|" if "|" in text else ","
            found[f"{key}_exact"] = tuple(text.split(separator))
            found[key] = tuple(part.strip() for part in text.split(separator) if part.strip())
    return found

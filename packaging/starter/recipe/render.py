"""The prompt text of the trelis-llama dialect, one-line calls. Knows metadata and messages, no banks."""

from __future__ import annotations

import json
from collections.abc import Sequence

from recipe.values import Json

Metadata = dict[str, Json]


def block(functions: Sequence[Metadata]) -> str:
    """The function block with its blank line; empty without functions."""
    if not functions:
        return ""
    objects = "\n\n".join(json.dumps(function, indent=4, ensure_ascii=False) for function in functions)
    return f"<FUNCTIONS>{objects}</FUNCTIONS>\n\n"


def turn(text: str, system: str = "") -> str:
    """One user turn up to where the reply begins."""
    head = f"<<SYS>>\n{system}\n<</SYS>>\n\n" if system else ""
    return f"[INST] {head}{text} [/INST]\n\n"


def call(name: str, arguments: dict[str, Json]) -> str:
    return json.dumps({"function": name, "arguments": arguments}, ensure_ascii=False)


def response(name: str, result: Json) -> str:
    return f"Function response from {name}:\n{json.dumps(result, ensure_ascii=False)}"


def suffixed(description: str, parts: Sequence[str]) -> str:
    """A description that states required, default and choices behind it."""
    if not parts:
        return description
    stated = f"({'; '.join(parts)})"
    return f"{description} {stated}" if description else stated

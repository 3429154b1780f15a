"""Where each argument stands in the JSON text of a call. Knows JSON, not schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping

_DECODER = json.JSONDecoder(strict=False)
_BLANK = " \t\r\n"


def argument_spans(text: str) -> Mapping[str, tuple[int, int]]:
    """Argument name -> start and end (in characters) of its value in `text`, the JSON text of one object.

    Text that is not whole gives the arguments that are.
    """
    spans: dict[str, tuple[int, int]] = {}
    at = _skip(text, 0)
    if not text.startswith("{", at):
        return spans
    at = _skip(text, at + 1)
    while text.startswith('"', at):
        try:
            name, at = _DECODER.raw_decode(text, at)
            at = _skip(text, at)
            if not text.startswith(":", at):
                break
            start = _skip(text, at + 1)
            _, at = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            break
        spans[name] = (start, at)
        at = _skip(text, at)
        if not text.startswith(",", at):
            break
        at = _skip(text, at + 1)
    return spans


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at

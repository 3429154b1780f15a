"""Follow one JSON object as its text arrives: where its own keys and values stand, and where it ends.

Knows strings and brackets; whether the whole is valid JSON is for a JSON decoder to say.
"""

from __future__ import annotations

import json

_BLANK = " \t\r\n"


class ObjectScan:
    """Feed it text from the opening brace on. Positions count characters from that brace."""

    def __init__(self) -> None:
        self.text = ""
        self.closed = False
        self.first_key: str | None = None
        self.strings: dict[str, str] = {}
        self.starts: dict[str, int] = {}
        self.ends: dict[str, int] = {}
        self.repeated: set[str] = set()
        self._depth = 0
        self._quote = -1
        self._escaped = False
        self._key: str | None = None
        self._value = -1
        self._last = 0

    def feed(self, text: str, start: int) -> int:
        """Take in `text` from `start` until the object closes. Returns where that is, or the end of `text`."""
        at = start
        base = len(self.text) - start
        self.text += text[start:]
        while at < len(text) and not self.closed:
            self._step(text[at], base + at)
            at += 1
        self.text = self.text[: base + at]
        return at

    def _step(self, char: str, at: int) -> None:
        if self._quote >= 0:
            self._in_string(char, at)
            return
        if char in _BLANK:
            return
        if self._depth == 1 and self._key is not None and self._value < 0 and char not in ":,}]":
            self._value = at
            self.starts.setdefault(self._key, at)
        if char == '"':
            self._quote = at
        elif char in "{[":
            self._depth += 1
        elif char in "}]":
            self._depth -= 1
            if self._depth == 0:
                self._end_value()
                self.closed = True
        elif char == "," and self._depth == 1:
            self._end_value()
        self._last = at + 1

    def _in_string(self, char: str, at: int) -> None:
        if self._escaped:
            self._escaped = False
        elif char == "\\":
            self._escaped = True
        elif char == '"':
            start, self._quote, self._last = self._quote, -1, at + 1
            if self._depth == 1:
                self._end_string(_decoded(self.text[start : at + 1]), start)

    def _end_string(self, text: str | None, start: int) -> None:
        if self._key is None:
            self._key = text
            if self.first_key is None:
                self.first_key = text
            if text is not None and text in self.starts:
                self.repeated.add(text)
        elif start == self._value and text is not None:
            self.strings.setdefault(self._key, text)

    def _end_value(self) -> None:
        if self._key is not None and self._value >= 0:
            self.ends.setdefault(self._key, self._last)
        self._key, self._value = None, -1

    def value_text(self, key: str) -> str:
        """What has come of the value of `key` so far, without blanks after it."""
        start = self.starts.get(key)
        if start is None:
            return ""
        if key in self.ends:
            return self.text[start : self.ends[key]]
        closed = self._depth == 1 and self._quote < 0 and self._key == key
        return self.text[start : self._last] if closed else self.text[start:]


def _decoded(quoted: str) -> str | None:
    try:
        decoded = json.loads(quoted, strict=False)
    except ValueError:
        return None
    return decoded if isinstance(decoded, str) else None

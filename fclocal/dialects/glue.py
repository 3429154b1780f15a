"""Drop what only glues calls together: blanks, code fences, list brackets and separators around them.

Knows text and where calls begin and end. Text that touches no call passes unchanged.
"""

from __future__ import annotations

import re

_WINDOW = 64


def _any_prefix(word: str) -> str:
    """A pattern for every non-empty prefix of `word`."""
    pattern = ""
    for char in reversed(word):
        pattern = f"{re.escape(char)}(?:{pattern})?" if pattern else re.escape(char)
    return pattern


_TAG = "<|python_tag|>"
_FENCE = r"```[\w+-]{0,16}\s*"
_BEFORE = re.compile(rf"\s*(?P<fence>{_FENCE})?(?:{re.escape(_TAG)}\s*)?(?P<list>\[\s*)?\Z")
_MAYBE_BEFORE = re.compile(
    rf"\s*(?:`{{1,2}}|(?:{_FENCE})?(?:{_any_prefix(_TAG)}|(?:{re.escape(_TAG)}\s*)?(?:\[\s*)?))\Z"
)
_BETWEEN = re.compile(rf"[\s,;\[\]]*(?:{_FENCE}[\s,;\[\]]*)*`{{0,2}}(?:{_any_prefix(_TAG)}\s*)?\Z")


class Glue:
    """A filter for the text of one reply. Each method returns the text that is certain now."""

    def __init__(self) -> None:
        self._held = ""
        self._after_call = False
        self._fence = False
        self._list = False

    def text(self, more: str) -> str:
        """Text came."""
        self._held += more
        if self._after_call:
            if _BETWEEN.match(self._held):
                return ""
            self._leave_call()
        window = self._held[-_WINDOW:]
        found = _MAYBE_BEFORE.search(window)
        kept = len(window) - found.start() if found else 0
        return self._release(len(self._held) - kept)

    def call(self) -> str:
        """A call begins here; it is preceded by what was held."""
        if self._after_call and _BETWEEN.match(self._held):
            self._list = self._list or "[" in self._held
            self._fence = self._fence or "```" in self._held
            self._held = ""
            return ""
        found = _BEFORE.search(self._held[-_WINDOW:])
        if found is None:
            return self.other()
        self._fence, self._list = found["fence"] is not None, found["list"] is not None
        text = self._held[: len(self._held) - len(found[0])]
        self._held = ""
        return text

    def ended(self) -> None:
        """The call that began last has ended."""
        self._after_call = True

    def other(self) -> str:
        """Something that is no call follows, or nothing: everything held is text."""
        if self._after_call:
            self._leave_call()
        return self._release(len(self._held))

    def _release(self, count: int) -> str:
        text, self._held = self._held[:count], self._held[count:]
        return text

    def _leave_call(self) -> None:
        closing = r"\s*" + (r"(?:,?\s*\]\s*)?" if self._list else "") + (r"(?:```\s*)?" if self._fence else "")
        found = re.match(closing, self._held)
        self._held = self._held[found.end() :] if found else self._held
        self._after_call = self._fence = self._list = False

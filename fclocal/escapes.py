"""Make untrusted text safe to show in a terminal. Stateless, so chunks may be cut anywhere."""

from __future__ import annotations

import re

# C0 but tab and newline, DEL, C1, the bidirectional controls, zero-width and tag characters, lone surrogates.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)

_LONE = re.compile("[\ud800-\udfff]")


def visible(text: str) -> str:
    """Every control or invisible character written out, as `\\x1b` or `\\u202e`, but tabs and newlines. Idempotent."""
    return _HIDDEN.sub(_spell, text.replace("\r\n", "\n"))


def has_hidden(text: str) -> bool:
    """Whether `visible` would change anything but line ends."""
    return _HIDDEN.search(text.replace("\r\n", "\n")) is not None


def whole_characters(text: str) -> str:
    """`text` with lone surrogates (from undecodable bytes) replaced by U+FFFD, so that it can be encoded."""
    return text if text.isascii() else _LONE.sub("\ufffd", text)


def _spell(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

"""JSON pointers (RFC 6901)."""

from __future__ import annotations

from collections.abc import Iterable


def pointer(path: Iterable[str | int]) -> str:
    """The pointer of a path; "" for the empty one."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def first_segment(text: str) -> str:
    """The key or index that a pointer begins with; "" for the whole value."""
    return text[1:].split("/", 1)[0].replace("~1", "/").replace("~0", "~")

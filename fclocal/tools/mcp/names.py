"""What the tools and logs of MCP servers are called, so that no two servers can be taken for each other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256

SEPARATOR = "__"


def owners(names: Iterable[str]) -> dict[str, str]:
    """What the names of a server's tools begin with -> the server. Holds no `__`, so that no two can be confused."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"__+", "_", re.sub(r"[^A-Za-z0-9_.-]", "_", name)).strip("_") or "server"
        number = 1
        while (unique := plain if number == 1 else f"{plain}_{number}") in found:
            number += 1
        found[unique] = name
    return found


def file_name(name: str) -> str:
    """A server's name where it is safe as a file name, else made safe and told apart by a digest."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:60]
    return safe if safe == name else f"{safe}-{sha256(name.encode('utf-8', 'replace')).hexdigest()[:8]}"

"""Which ready wheels of llama-cpp-python an index has for this machine. Knows PEP 503 pages and wheel tags."""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request
from collections.abc import Set
from dataclasses import dataclass, field
from html import unescape
from typing import Final
from urllib.parse import unquote, urlsplit

from packaging.tags import Tag, sys_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

INDEX: Final = "https://abetlen.github.io/llama-cpp-python/whl"
INDEX_VARIABLE: Final = "FCLOCAL_WHEELS"
PROJECT: Final = "llama-cpp-python"
SECONDS: Final = 10.0
MAX_PAGE: Final = 2**22
_LINK: Final = re.compile(r"""<a\b[^>]*?\bhref\s*=\s*["']([^"']+)""", re.IGNORECASE)


@dataclass
class WheelIndex:
    """The ready wheels of one version. `has` asks each page once; `fault` says why the index did not answer."""

    version: str
    address: str = field(default_factory=lambda: (os.environ.get(INDEX_VARIABLE) or INDEX).rstrip("/"))
    tags: Set[Tag] = field(default_factory=lambda: frozenset(sys_tags()))
    fault: str = ""
    _found: dict[str, bool] = field(default_factory=dict)

    def url(self, tag: str) -> str:
        """The index that holds the wheels called by `tag`."""
        return f"{self.address}/{tag}"

    def has(self, tag: str) -> bool:
        """Whether there is a wheel of this version that this Python can install."""
        if tag not in self._found:
            page = self._page(f"{self.url(tag)}/{PROJECT}/")
            self._found[tag] = any(fits(link, self.version, self.tags) for link in _LINK.findall(page))
        return self._found[tag]

    def _page(self, address: str) -> str:
        """The text of a page, empty when there is none. The first fault of the connection ends the asking."""
        if self.fault:
            return ""
        if urlsplit(address).scheme not in ("http", "https"):
            self.fault = f"{INDEX_VARIABLE} is not an address"
            return ""
        try:
            with urllib.request.urlopen(address, timeout=SECONDS) as answer:
                return str(answer.read(MAX_PAGE).decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            if error.code not in (403, 404, 410):
                self.fault = f"HTTP {error.code}"
        except (OSError, ValueError) as error:
            self.fault = str(getattr(error, "reason", "") or error) or type(error).__name__
        return ""


def fits(link: str, version: str, tags: Set[Tag]) -> bool:
    """Whether the link leads to a wheel of `version` for one of `tags`."""
    name = unquote(urlsplit(unescape(link)).path.rpartition("/")[2])
    if not name.endswith(".whl"):
        return False
    try:
        _, found, _, theirs = parse_wheel_filename(name)
        return found.public == Version(version).public and not tags.isdisjoint(theirs)
    except (InvalidWheelFilename, InvalidVersion):
        return False

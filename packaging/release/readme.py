"""The README as a package index shows it: relative links point into the repository at the tag of this version."""

from __future__ import annotations

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(\]\()(?![a-z][a-z0-9+.-]*:|#|/)([^)\s]+)(\))")


class Readme(MetadataHookInterface):
    """Fills in `readme`, which pyproject.toml declares as dynamic. Needs [project.urls] Source and the version."""

    def update(self, metadata: dict[str, object]) -> None:
        """Put the text into `metadata`."""
        urls = metadata["urls"]
        assert isinstance(urls, dict)
        base = f"{urls['Source']}/blob/v{metadata['version']}/"
        text = Path(self.root, "README.md").read_text("utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute_links(text, base)}


def absolute_links(text: str, base: str) -> str:
    """`text` with its relative links under `base`; a folder's address is one of its pages, so it works as well."""
    return _LINK.sub(rf"\g<1>{base}\g<2>\g<3>", text)

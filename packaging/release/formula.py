"""The Homebrew formula of the built sdist, in dist/: `python formula.py`."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import source
from distributions import DIST, names
from source import Refused

TEMPLATE = source.ROOT / "packaging/homebrew/fclocal.rb"


def write(sdist: Path) -> Path:
    """Fill in the version and the sum of `sdist`, beside it. Raises Refused when it was not built."""
    if not sdist.exists():
        raise Refused(f"There is no {sdist.name}. Try: make dist")
    digest = hashlib.sha256(sdist.read_bytes()).hexdigest()
    target = sdist.with_name(TEMPLATE.name)
    text = TEMPLATE.read_text("utf-8").replace("VERSION", source.version()).replace("SHA256", digest)
    target.write_text(text, "utf-8")
    return target


if __name__ == "__main__":
    try:
        print(write(DIST / names()[1]).relative_to(source.ROOT))
    except Refused as refusal:
        sys.exit(str(refusal))

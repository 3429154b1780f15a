"""Makes the scripts under packaging/release importable; they need nothing that is not in the test environment."""

from __future__ import annotations

import sys
from pathlib import Path

RELEASE = Path(__file__).resolve().parents[2] / "packaging" / "release"
if str(RELEASE) not in sys.path:
    sys.path.append(str(RELEASE))

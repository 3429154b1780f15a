"""Makes the recipe under packaging/starter importable; these tests need no torch."""

from __future__ import annotations

import sys
from pathlib import Path

RECIPE = Path(__file__).resolve().parents[2] / "packaging" / "starter"
if str(RECIPE) not in sys.path:
    sys.path.insert(0, str(RECIPE))

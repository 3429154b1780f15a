"""A sessions file of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fclocal.chat.store import Sessions


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "sessions.db"


@pytest.fixture
def stored(path: Path) -> Iterator[Sessions]:
    with Sessions(path) as opened:
        yield opened

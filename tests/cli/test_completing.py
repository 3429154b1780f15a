"""What a shell gets that completes through Typer's own script."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("typed", "word", "offered"),
    [
        ("fclocal se", 1, ["serve", "sessions"]),
        ("fclocal tools ch", 2, ["check"]),
        ("fclocal call --miss", 2, ["--missing"]),
    ],
)
def test_words_are_offered(typed: str, word: int, offered: list[str], tmp_path: Path) -> None:
    asked = {"_FCLOCAL_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(word), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "fclocal"],
        env={**os.environ, **asked},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == offered, done.stderr

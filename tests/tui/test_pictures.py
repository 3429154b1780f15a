"""Whole screens at two sizes, held to the files in pictures/. FCLOCAL_PICTURES=write writes them anew."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from fclocal.tui.app import FclocalApp
from tests.tui.conftest import MakeApp, asked, say, screen_text, send, shows, until

FOLDER = Path(__file__).parent / "pictures"
SIZES = {"80x24": (80, 24), "120x36": (120, 36)}
# How long something took, and the line that it makes longer or shorter.
_TOOK = re.compile(r"(\d+) ms( *─*)")


def hold_to(app: FclocalApp, name: str) -> None:
    """Compare the screen with its picture."""
    lines = (_TOOK.sub("N ms", line).rstrip() for line in screen_text(app).splitlines())
    seen = "\n".join(lines) + "\n"
    file = FOLDER / f"{name}.txt"
    if os.environ.get("FCLOCAL_PICTURES") == "write":
        FOLDER.mkdir(exist_ok=True)
        file.write_text(seen, "utf-8")
    assert seen == file.read_text("utf-8")


async def settled(pilot: Pilot[None], app: FclocalApp) -> None:
    """Wait until the screen does not change any more."""
    before = ""
    for _ in range(100):
        await pilot.pause(0.05)
        now = screen_text(app)
        if now == before:
            return
        before = now
    raise AssertionError("The screen never comes to rest.")


@pytest.mark.usefixtures("no_guard")
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
async def test_a_call_from_question_to_answer(make_app: MakeApp, size: tuple[int, int]) -> None:
    label = f"{size[0]}x{size[1]}"
    app = make_app(send(to="Ann", count=2), "I have sent **two** messages to Ann.")
    async with app.run_test(size=size) as pilot:
        await shows(pilot, "ready")
        hold_to(app, f"empty-{label}")
        await say(pilot, "Write to Ann twice")
        await asked(pilot)
        await settled(pilot, app)
        hold_to(app, f"approval-{label}")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await settled(pilot, app)
        hold_to(app, f"form-{label}")
        await pilot.press("enter")
        await shows(pilot, "two messages")
        await until(pilot, lambda: not app.chat.busy)
        await settled(pilot, app)
        hold_to(app, f"answer-{label}")
        await pilot.press("f5")
        await shows(pilot, "of 100,000 tokens")
        await settled(pilot, app)
        hold_to(app, f"inspector-{label}")
        await pilot.press("escape", "f3")
        await shows(pilot, "Send a message.")
        await settled(pilot, app)
        hold_to(app, f"functions-{label}")

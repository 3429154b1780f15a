"""Pictures for the README, taken of the real app with the built-in model: `make screenshots` writes docs/*.svg."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from fclocal.cli.terminal_app import make_app
from fclocal.models.names import starter_path
from fclocal.tui.app import FclocalApp

FOLDER = Path(__file__).parent.parent / "docs"
SIZE = (110, 34)
SECONDS = 60.0
NOTES = '''def send_note(to: str, text: str) -> str:
    """Send a note to somebody.

    Args:
        to: Who gets it.
        text: What it says.
    """
    return f"sent to {to}"
'''


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Wait for the model."""
    for _ in range(int(SECONDS / 0.05)):
        if condition():
            return
        await pilot.pause(0.05)
    raise TimeoutError(f"Nothing changed for {SECONDS:.0f} s; the app is in state {pilot.app.screen!r}.")


async def say(app: FclocalApp, pilot: Pilot[None], text: str) -> None:
    """Send a message."""
    await until(pilot, lambda: app.chat.status.state == "ready")
    await pilot.press(*text, "enter")
    await pilot.pause(0.5)  # A turn can be over before anybody looks.


def save(app: FclocalApp, name: str) -> None:
    """Write what is on the screen."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.svg").write_text(app.export_screenshot(title="fclocal"), "utf-8")


async def chat() -> None:
    """A question that is answered with a function, then the screens about it."""
    app = make_app({"model": str(starter_path())})
    async with app.run_test(size=SIZE) as pilot:
        await say(app, pilot, "What is 12 * (3 + 4)?")
        await until(pilot, lambda: not app.chat.busy)
        save(app, "chat")
        await pilot.press("f2")
        await pilot.pause(4.0)
        save(app, "models")


async def approval(folder: Path) -> None:
    """A call that waits for a decision."""
    notes = folder / "notes.py"
    notes.write_text(NOTES, "utf-8")
    app = make_app({"model": str(starter_path()), "tools": [notes], "choice": "send_note", "missing": "off"})
    async with app.run_test(size=SIZE) as pilot:
        await say(app, pilot, "Send Ann the note buy milk")
        await until(pilot, lambda: app.chat.status.state == "waiting for you")
        await pilot.pause(0.5)
        save(app, "approval")


def main() -> None:
    """Take every picture in a home of its own."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("CONFIG", "DATA", "CACHE"):
            os.environ[f"FCLOCAL_{name}"] = str(Path(folder) / name.lower())
        os.environ["HF_HOME"] = str(Path(folder) / "hf")
        asyncio.run(chat())
        asyncio.run(approval(Path(folder)))


if __name__ == "__main__":
    main()

"""Time the terminal app on a real pseudo-terminal: start to first paint, and key to screen while the model generates.

`python -m benchmarks.tui`. The built-in model writes a call that its schema makes long, so that the figures do not
depend on what a model says. Every time is also given without the waiting for a processor that other programs held
(Linux says how long the app's main thread stood in the run queue), and next to a bare Textual app of the same run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

from tests.raw_terminal import RawTerminal, fclocal

BARE = """
from textual.app import App
from textual.widgets import Static

class Bare(App):
    def compose(self):
        yield Static("Message")

Bare().run()
"""
ITEMS = 4000
COLOURS = ("amber", "azure", "crimson", "emerald", "indigo", "magenta", "ochre", "saffron", "turquoise", "vermilion")


def main() -> None:
    """Print first paint and key latency."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=7)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--model", default="starter")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        if options.starts:
            paints(home, options.starts)
        latencies(home, options.model, options.keys)


def paints(home: Path, starts: int) -> None:
    """Start to the first frame, the median of so many starts; the first start of all is not counted."""
    (home / "data").mkdir()
    (home / "data" / "sessions.db").touch()  # not the first run: no welcome
    bare = median(_paint(RawTerminal([sys.executable, "-c", BARE]))[1] for _ in range(starts + 1))
    for what, words in (("fclocal", ()), ("fclocal --model NAME", ("--model", "starter"))):
        times = [_paint(fclocal(*words, home=home)) for _ in range(starts + 1)][1:]
        wall, own = (median(column) for column in zip(*times, strict=True))
        print(f"{what:<22} to first paint {wall:6.0f} ms, {own:5.0f} without the run queue   (wanted: under 400)")
        print(f"{'':<22} times a bare Textual app {own / bare:14.2f}")


def _paint(terminal: RawTerminal) -> tuple[float, float]:
    with terminal:
        wall = 1000 * (terminal.wait_for("Message") - terminal.began)
        return wall, wall - 1000 * _queued(terminal)


def latencies(home: Path, model: str, keys: int) -> None:
    """Key to screen, first with an idle model, then while it writes."""
    functions = home / "functions.json"
    colours = {"type": "array", "items": {"enum": COLOURS}, "minItems": ITEMS, "maxItems": ITEMS}
    schema = {"type": "object", "properties": {"colours": colours}, "required": ["colours"]}
    functions.write_text(json.dumps([{"name": "paint", "description": "Paint.", "parameters": schema}]))
    words = ("--model", model, "--builtin", "none", "--functions", str(functions), "--choice", "paint")
    with fclocal(*words, "--missing", "off", "--max-tokens", "100000", "--context", "16384", home=home) as app:
        app.wait_for("ready")
        _report("idle", _type(app, keys))
        app.write("\x15Paint it\r")
        app.wait_for("paint: proposed")
        _report("generating", _type(app, keys))


def _type(app: RawTerminal, keys: int) -> list[tuple[float, float]]:
    """Type keys one after the other, each one seen before the next; milliseconds of each, as measured and less the
    run queue."""
    times = []
    for key in range(keys):
        character = chr(0x2801 + key % 0xFE)  # Braille: nothing else on the screen has it
        mark, queued, at = len(app.output), _queued(app), time.monotonic()
        app.write(character)
        wall = 1000 * (app.wait_for(character, after=mark) - at)
        times.append((wall, wall - 1000 * (_queued(app) - queued)))
        if key % 0xFE == 0xFD:
            app.write("\x15")
        end = time.monotonic() + 0.02
        while (left := end - time.monotonic()) > 0:
            app.read(left)
    return times


def _report(what: str, times: Sequence[tuple[float, float]]) -> None:
    for column, how in ((0, "as measured"), (1, "without the run queue")):
        row = [time[column] for time in times]
        hundredth = quantiles(row, n=100)[98]
        print(f"key to screen, {what:<12} p50 {median(row):6.1f} ms  p99 {hundredth:6.1f} ms  {how}, {len(row)} keys")


def _queued(terminal: RawTerminal) -> float:
    """Seconds that the program's main thread has waited for a processor."""
    try:
        return int(Path(f"/proc/{terminal.pid}/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


if __name__ == "__main__":
    main()

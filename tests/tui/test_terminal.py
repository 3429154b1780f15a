"""The app in a real terminal, with the built-in model: typed into, read off, resized, ended."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fclocal.models.names import starter_path

pytestmark = [
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
    pytest.mark.skipif(not starter_path().exists(), reason="the built-in model is not in this checkout"),
    pytest.mark.timeout(180),
]

SCRIPT = '''
def note(text: str) -> str:
    """Write a note.

    Args:
        text: What to write.
    """
    return f"noted with {len(text)} characters"
'''


class Terminal:
    """One tmux server with one window of 100 by 40."""

    def __init__(self, folder: Path) -> None:
        self._socket = str(folder / "tmux")
        self._folder = folder

    def tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self._socket, *words], capture_output=True, text=True, check=False, timeout=20
        )
        return done.stdout

    def start(self, *words: str) -> None:
        folders = {f"FCLOCAL_{name}": str(self._folder / name.lower()) for name in ("CONFIG", "DATA", "CACHE")}
        settings = [f"{name}={value}" for name, value in folders.items()]
        command = ["env", *settings, sys.executable, "-m", "fclocal", *words]
        quoted = " ".join(f"'{word}'" for word in command)
        line = f'stty -g > before; {quoted}; echo "left with $?"; stty -g > after; sleep 100'
        self.tmux("-f", os.devnull, "new-session", "-d", "-x", "100", "-y", "40", "-c", str(self._folder), line)

    @property
    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def keys(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def shows(self, words: str, *, seconds: float = 60) -> str:
        """Wait until `words` are on the screen."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            screen = self.screen
            if words in screen:
                return screen
            time.sleep(0.1)
        raise AssertionError(f"{words!r} never came. The screen:\n{self.screen}")

    @property
    def restored(self) -> bool:
        """Whether the terminal has the modes it had before."""
        before, after = (self._folder / name for name in ("before", "after"))
        return before.read_text() == after.read_text()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.tmux("kill-server")


def test_a_question_is_typed_a_call_approved_and_the_result_read(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "notes.py").write_text(SCRIPT)
    terminal.start("--model", str(starter_path()), "--tools", "notes.py", "--choice", "note", "--missing", "off")
    terminal.shows("ready")
    terminal.keys("-l", "Please note: buy milk")
    terminal.keys("Enter")
    screen = terminal.shows("waiting")
    assert "note: waiting" in screen
    assert "text = " in screen
    terminal.shows("Allow once (y)")
    time.sleep(0.6)  # the half second in which keys do not count
    terminal.keys("y")
    terminal.shows("noted with")
    terminal.keys("C-q")
    terminal.shows("left with 0")
    assert terminal.restored


def test_the_terminal_is_restored_after_a_term_signal(terminal: Terminal, tmp_path: Path) -> None:
    terminal.start("--model", str(starter_path()))
    terminal.shows("ready")
    (shell,) = terminal.tmux("list-panes", "-F", "#{pane_pid}").split()
    children = subprocess.run(["pgrep", "-P", shell], capture_output=True, text=True, check=True).stdout.split()
    os.kill(int(children[0]), 15)
    terminal.shows("left with 143")
    assert terminal.restored


def test_a_storm_of_resizes_is_survived(terminal: Terminal) -> None:
    terminal.start("--model", str(starter_path()))
    terminal.shows("ready")
    (shell,) = terminal.tmux("list-panes", "-F", "#{pane_pid}").split()
    children = subprocess.run(["pgrep", "-P", shell], capture_output=True, text=True, check=True).stdout.split()
    for _ in range(1000):
        os.kill(int(children[0]), 28)
    terminal.keys("-l", "still here")
    terminal.shows("still here")
    terminal.keys("C-q")
    terminal.shows("left with 0")


def test_a_missing_model_is_a_sentence_and_the_app_stays(terminal: Terminal, tmp_path: Path) -> None:
    terminal.start("--model", str(tmp_path / "none.gguf"))
    terminal.shows("There is no file")
    assert "no model" in terminal.screen
    terminal.keys("C-q")
    terminal.shows("left with 0")

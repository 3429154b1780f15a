"""A person at a real terminal: allow, deny with a reason, edit, and Ctrl-C at the question."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")

TOOL = '''
import pathlib

def note(number: int) -> str:
    """Note a number."""
    pathlib.Path("noted").write_text(str(number))
    return f"noted {number}"
'''
# The terminal becomes the process's own, so that Ctrl-C typed there is a signal.
START = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from fclocal.__main__ import main; main()"
ASKED = "[y]es, [a]lways in this session, [e]dit, [N]o: "


class Terminal:
    """`fclocal chat` at a pseudo-terminal; `shown` is all that was on the screen."""

    def __init__(self, *words: str) -> None:
        self._ours, theirs = os.openpty()
        command = [sys.executable, "-c", START, "chat", "Note it", "--tools", "tool.py", "--missing", "off"]
        self.process = subprocess.Popen(
            [*command, "--choice", "note", "--max-tokens", "40", *words],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""

    def wait_for(self, text: str) -> None:
        """Read until `text` is shown after what was awaited before."""
        begin = len(self.shown)
        while text not in self.shown[begin:]:
            more = self._read()
            assert more, f"{text!r} never came: {self.shown}"
            self.shown += more

    def answer(self, question: str, line: str) -> None:
        self.wait_for(question)
        os.write(self._ours, f"{line}\n".encode())

    def press(self, key: bytes) -> None:
        os.write(self._ours, key)

    def end(self) -> tuple[int, str]:
        """The exit code, and stdout."""
        while more := self._read():
            self.shown += more
        out, _ = self.process.communicate(timeout=60)
        os.close(self._ours)
        return self.process.returncode, out.decode()

    def _read(self) -> str:
        try:
            return os.read(self._ours, 65_536).decode(errors="replace")
        except OSError:
            return ""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tool.py").write_text(TOOL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_allow(folder: Path) -> None:
    terminal = Terminal()
    terminal.answer(ASKED, "what?")
    terminal.answer(ASKED, "y")
    code, _ = terminal.end()
    number = (folder / "noted").read_text()
    assert code == 0 and f"number = {number}" in terminal.shown and f"noted {number}" in terminal.shown


def test_deny_with_a_reason(folder: Path) -> None:
    terminal = Terminal()
    terminal.answer(ASKED, "n")
    terminal.answer("Why not?", "Not that number")
    code, _ = terminal.end()
    assert code == 6 and not (folder / "noted").exists()
    assert "denied" in terminal.shown and "Not that number" in terminal.shown.rpartition("denied")[2]


def test_edit_until_it_fits_then_allow(folder: Path) -> None:
    terminal = Terminal()
    for wrong in ('{"number": "many"}', "{number: 1}", '{"other": 1}'):
        terminal.answer(ASKED, "e")
        terminal.answer("New arguments as JSON", wrong)
    terminal.answer(ASKED, "e")
    terminal.answer("New arguments as JSON", '{"number": 4711}')
    terminal.answer(ASKED, "y")
    code, _ = terminal.end()
    assert code == 0 and (folder / "noted").read_text() == "4711" and "noted 4711" in terminal.shown


def test_ctrl_c_at_the_question(folder: Path) -> None:
    terminal = Terminal()
    terminal.wait_for(ASKED)
    terminal.press(b"\x03")
    code, out = terminal.end()
    assert (code, out) == (130, "") and not (folder / "noted").exists()
    assert "Interrupted." in terminal.shown and "Traceback" not in terminal.shown


def test_the_end_of_the_input_is_a_no(folder: Path) -> None:
    terminal = Terminal()
    terminal.wait_for(ASKED)
    terminal.press(b"\x04")
    terminal.wait_for("Why not?")
    terminal.press(b"\x04")
    code, _ = terminal.end()
    assert code == 6 and not (folder / "noted").exists()

"""What really reaches the terminal, byte by byte, and how the terminal is left. Real processes, a scripted model."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fclocal.chat.store import Sessions
from fclocal.messages import UserMessage
from fclocal.models.names import starter_path
from tests.raw_terminal import RawTerminal

pytestmark = [
    pytest.mark.skipif(not hasattr(termios, "TIOCSWINSZ"), reason="there are no pseudo-terminals here"),
    pytest.mark.timeout(180),
]
ROOT = Path(__file__).parents[2]
HOSTILE = ROOT / "tests" / "tools" / "servers" / "hostile.py"
EVIL = "\x1b]52;c;RVZJTA==\x07\x1b[6n\x1b[31mred\x1bPq\x1b\\\x9b31m\x9d0;title\x9c\x07\x08\u202erow\u2066\u200b"
RAW = ["\x1b]52", "\x1b]0;", "\x1b[6n", "\x1b[31mred", "\x1bPq", "\x9b", "\x9d", "\x9c", "\x07", "\x08"]
RAW += ["\u202e", "\u2066", "\u200b"]
CALL = json.dumps({"function": "send", "arguments": {"to": f"Ann{EVIL}"}})

Start = Callable[..., RawTerminal]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def start(
        *texts: str, size: tuple[int, int] = (100, 40), env: dict[str, str] | None = None, **more: object
    ) -> RawTerminal:
        file = tmp_path / "said.json"
        file.write_text(json.dumps({"texts": texts, **more}))
        folders = {f"FCLOCAL_{name}": str(tmp_path / name.lower()) for name in ("CONFIG", "DATA", "CACHE")}
        words = [sys.executable, "-m", "tests.tui.scripted_app", str(file)]
        return RawTerminal(words, size=size, env={"PYTHONPATH": str(ROOT), **folders, **(env or {})})

    return start


def approve(app: RawTerminal) -> None:
    """Allow the call that is asked about."""
    app.wait_for("Allow once")
    time.sleep(0.7)  # the half second in which keys do not count
    app.write("y")


def raw_in(shown: str) -> list[str]:
    """Where something of RAW stands in what the terminal got."""
    return [shown[max(0, at - 80) : at + 40] for raw in RAW if (at := shown.find(raw)) >= 0]


def leave(app: RawTerminal) -> None:
    app.write("\x11")
    assert app.left() == 0


def test_nothing_untrusted_reaches_the_terminal_raw(start: Start, tmp_path: Path) -> None:
    with Sessions(tmp_path / "data" / "sessions.db") as stored:
        stored.record(title=f"Old{EVIL}").message(UserMessage(f"Hello{EVIL}"), {})
    evil_result = json.dumps({EVIL: [EVIL, {"deep": EVIL}]})
    answer = f"# Done {EVIL}\n\n`{EVIL}` [link{EVIL}](http://a/{EVIL})\n\n```\n{EVIL}\n```\n"
    told = {"result": evil_result, "description": f"Send{EVIL}", "notices": [f"A notice{EVIL}"]}
    with start(CALL, answer, **told) as app:
        app.wait_for("notice\\x1b")
        app.write(f"\x1b[200~Write {EVIL.replace(chr(27), '')}\x1b[201~")
        app.write("\r")
        approve(app)
        app.wait_for("Done", "result")
        for key, words in (("\x1bOR", "hidden"), ("\x1bOS", "Old"), ("\x1b[15~", "tokens")):
            mark = len(app.output)
            app.write(key)
            app.wait_for(words, after=mark)
        app.write("\x1b")
        app.read(1)
        leave(app)
        shown = re.sub(r"\x1b\]22;[a-z-]*\x07", "", app.output.decode("utf-8", "replace"))  # Textual's own: the pointer
    assert "\\x1b" in shown and "\\u202e" in shown
    assert raw_in(shown) == []


@pytest.mark.skipif(not starter_path().exists(), reason="the built-in model is not in this checkout")
def test_neither_do_the_names_of_files_and_what_servers_say(tmp_path: Path) -> None:
    folders = {f"FCLOCAL_{name}": str(tmp_path / name.lower()) for name in ("CONFIG", "DATA", "CACHE")}
    evil = EVIL.replace("/", "")
    models = tmp_path / "data" / "models"
    models.mkdir(parents=True)
    (models / f"model{evil}.gguf").symlink_to(starter_path())
    arguments = [str(HOSTILE), "hidden", evil]
    (tmp_path / "config").mkdir()
    servers = {"odd": {"command": sys.executable, "args": arguments}, "gone": {"command": f"no{evil}"}}
    (tmp_path / "config" / "mcp.json").write_text(json.dumps({"mcpServers": servers}))
    tools = tmp_path / f"tools{evil}.py"
    tools.write_text(f'def noted(text: str) -> str:\n    """Note{evil!r}"""\n    return text\n')
    words = [sys.executable, "-m", "fclocal", "--model", str(models / f"model{evil}.gguf"), "--tools", str(tools)]
    with RawTerminal([*words, "--mcp", "all"], size=(120, 40), env={"HF_HOME": str(tmp_path / "hf"), **folders}) as app:
        mark = 0
        for _ in servers:
            app.wait_for("is new.", after=mark)
            time.sleep(0.7)  # the half second in which keys do not count
            mark = len(app.output)
            app.write("y")
        app.wait_for("ready |")
        for key, seen in (("\x1bOR", "noted"), ("\x1bOQ", "built in")):
            mark = len(app.output)
            app.write(key)
            app.wait_for(seen, after=mark)
            app.read(1)
        app.write("\x1b[F" + "\x1b[A")
        app.read(1)
        leave(app)
        shown = re.sub(r"\x1b\]22;[a-z-]*\x07", "", app.output.decode("utf-8", "replace"))
    assert "model\\x1b" in shown and "no\\x1b" in shown
    assert raw_in(shown) == []


def test_no_color_leaves_the_sources_told_apart_by_words(start: Start) -> None:
    with start(CALL.replace(json.dumps(EVIL)[1:-1], ""), "Sent.", env={"NO_COLOR": "1"}) as app:
        app.wait_for("CPU")
        app.write("Write to Ann\r")
        approve(app)
        app.wait_for("Sent.")
        leave(app)
        shown = app.output.decode()
    assert "from the user" in shown
    codes = {int(code) for found in re.findall(r"\x1b\[([0-9;]+)m", shown) for code in found.split(";")[:1]}
    assert not codes & {*range(31, 38), *range(41, 48), *range(90, 108)}
    greys = {0, 7, 8, 15, 16, 59, 102, 145, 188, *range(231, 256)}
    assert {int(colour) for colour in re.findall(r"[34]8;5;(\d+)", shown)} <= greys


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(start: Start, number: int) -> None:
    with start("Hello.") as app:
        before = app.modes
        app.wait_for("CPU")
        assert app.modes != before
        app.signal(number)
        assert app.left() == 128 + number
        assert app.output.rstrip().endswith(b"\x1b[?25h") or b"\x1b[?1049l" in app.output
        assert app.modes == before


@pytest.mark.parametrize("where", ["app", "prompt"])
def test_a_crash_gives_the_terminal_back_and_says_one_sentence(start: Start, where: str) -> None:
    with start("Hello.", crash=where) as app:
        before = app.modes
        app.wait_for("CPU")
        app.write("\x1b[20~")
        assert app.left() == 1
        assert app.modes == before
        _, _, after = app.output.partition(b"\x1b[?1049l")
    said = re.sub(r"\x1b[\[>=][0-9;?<]*[a-zA-Z]?", "", after.decode()).split("\r\n")
    assert [line for line in said if "Unexpected: KeyError: 'odd'. Details are in" in line]
    assert "Traceback" not in after.decode()


def test_it_ends_with_its_terminal_in_the_middle_of_a_reply(start: Start) -> None:
    with start("Hello. " * 2_000) as app:
        app.wait_for("CPU")
        app.write("Write to Ann\r")
        app.wait_for("Hello.")
        app.hang_up()
        assert app.left(30) == 128 + signal.SIGHUP


def test_a_thousand_resizes_and_a_paste_of_ten_megabytes(start: Start) -> None:
    with start("Hello.") as app:
        app.wait_for("CPU")
        for count in range(1000):
            app.resize(20 + count % 120, 5 + count % 40)
            app.signal(signal.SIGWINCH)
            app.read(0)
        app.resize(100, 40)
        app.write("\x1b[200~" + "y" * 10_000_000 + "\x1b[201~")
        app.wait_for("10,000,000 characters", seconds=120)
        leave(app)


def test_a_resize_that_comes_late_does_not_count(start: Start) -> None:
    with start("A line that would not fit on a terminal of twenty-two columns.", old_size=True) as app:
        app.wait_for("CPU")
        app.write("\x1b[20~")
        app.wait_for("resized")
        app.write("Hello\r")
        app.wait_for("A line that would not fit on a terminal of twenty-two columns.", seconds=20)
        leave(app)


def test_five_megabytes_of_result_leave_it_usable(start: Start) -> None:
    with start(json.dumps({"function": "send", "arguments": {"to": "Ann"}}), "Read.", result="x" * 5_000_000) as app:
        app.wait_for("CPU")
        app.write("Write to Ann\r")
        approve(app)
        app.wait_for("Read.", "Show all")
        app.write("\u2847")
        app.wait_for("\u2847")
        leave(app)


@pytest.mark.skipif(not Path("/dev/full").exists() or os.geteuid() != 0, reason="a full disk needs a small tmpfs")
def test_a_full_disk_is_said_and_the_conversation_goes_on(start: Start, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    if os.system(f"mount -t tmpfs -o size=600k none {data} 2>/dev/null") != 0:
        pytest.skip("this machine mounts no tmpfs")
    try:
        with start("First answer.", "Second answer.") as app:
            app.wait_for("CPU")
            app.write("First\r")
            app.wait_for("First answer.")
            (data / "full").write_bytes(b"x" * 400_000)
            try:
                with (data / "more").open("wb", buffering=0) as more:
                    while more.write(b"x" * 512):
                        pass
            except OSError:
                pass
            app.write("\x1b[200~" + "long " * 8_000 + "\x1b[201~\r")
            app.wait_for("no longer saved", "Second answer.")
            leave(app)
    finally:
        os.system(f"umount {data}")

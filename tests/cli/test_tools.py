"""`fclocal tools` as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from fclocal.cli.app import run
from fclocal.functions import Json

HOSTILE = Path(__file__).parent.parent / "tools/servers/hostile.py"
PLAIN = {"command": sys.executable, "args": [str(HOSTILE), "plain"], "env": {"KEY": "s3cret-s3cret"}}
PYTHON = '''
def double(number: int) -> int:
    """Double a number."""
    return 2 * number

def explode() -> None:
    """Never work."""
    raise ValueError("out of luck")
'''


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def value(self) -> Json:
        """The one JSON value on stdout."""
        found: Json = json.loads(self.out)
        return found


Fclocal = Callable[..., Done]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"FCLOCAL_{name}", str(tmp_path / name.lower()))
    (tmp_path / "config").mkdir()
    (tmp_path / "config/mcp.json").write_text(json.dumps({"mcpServers": {"here": PLAIN}}))
    (tmp_path / "mine.py").write_text(PYTHON)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def fclocal(home: Path, capsys: pytest.CaptureFixture[str]) -> Fclocal:
    def command(*words: str) -> Done:
        with pytest.raises(SystemExit) as left:
            run(list(words))
        captured = capsys.readouterr()
        return Done(int(str(left.value.code)), captured.out, captured.err)

    return command


def test_list_shows_what_would_be_offered(fclocal: Fclocal) -> None:
    done = fclocal("tools", "list")
    names = [line.split()[0] for line in done.out.splitlines()]
    assert done.code == 0 and names[0] == "NAME"
    assert names[1:] == ["calculator", "convert_units", "current_time", "weather", "search_arxiv", "search_web"]
    only = fclocal("tools", "list", "--tools", "mine.py", "--json")
    assert [(tool["name"], tool["origin"], tool["effect"]) for tool in only.value] == [  # type: ignore[index,union-attr,call-overload]
        ("double", "mine.py", "unknown"),
        ("explode", "mine.py", "unknown"),
    ]


def test_check_says_what_is_enforced_checked_and_refused(fclocal: Fclocal, home: Path) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "pattern": "(?=a)b"}, "d": {"format": "date"}}}
    broken = {"name": "broken", "parameters": {"type": "object", "properties": {"n": {"type": "intteger"}}}}
    (home / "f.json").write_text(json.dumps([{"name": "odd", "description": "", "parameters": schema}, broken]))
    done = fclocal("tools", "check", "--functions", "f.json", "--json")
    odd, set_aside = done.value  # type: ignore[misc]
    assert done.code == 2 and (odd["name"], odd["status"]) == ("odd", "ok")
    assert "/properties/n/type" in odd["enforced"] and {"enforced", "checked", "refused"} <= odd.keys()
    assert set_aside["status"] == "set aside" and "intteger" in set_aside["reason"]
    words = fclocal("tools", "check", "--functions", "f.json")
    assert "odd: ok" in words.out and "broken: set aside" in words.out


@pytest.mark.parametrize(
    ("source", "names"),
    [("def good() -> int:\n    return 1\n\ndef bad(x: 'Nowhere') -> int:\n    return x\n", ["good"]), ("oh no", [])],
)
def test_check_lists_the_good_ones_and_exits_with_2_for_the_others(
    fclocal: Fclocal, home: Path, source: str, names: list[str]
) -> None:
    (home / "some.py").write_text(source)
    done = fclocal("tools", "check", "--tools", "some.py", "--json")
    assert done.code == 2 and [tool["name"] for tool in done.value] == names  # type: ignore[index,union-attr,call-overload]
    assert "set aside" in done.err
    assert fclocal("tools", "check", "--tools", "mine.py").code == 0


def test_run_prints_the_result(fclocal: Fclocal) -> None:
    assert fclocal("tools", "run", "calculator", '{"expression": "12 * (3 + 4)"}') == Done(0, '{"result": 84}\n', "")
    assert fclocal("tools", "run", "double", '{"number": 4}', "--tools", "mine.py", "--json").value == 8


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("calculater",), "Did you mean 'calculator'"),
        (("calculator", "{"), "Not strict JSON"),
        (("calculator", "[1]"), "not a JSON object"),
        (("calculator", '{"expression": 3}'), "/expression"),
        (("calculator", "{}"), "'expression' is a required property"),
        (("calculator", '{"expression": "1", "expression": "2"}'), "occurs twice"),
        (("here__act", "{}"), "No function 'here__act'"),
    ],
)
def test_bad_input_runs_nothing(fclocal: Fclocal, words: tuple[str, ...], said: str) -> None:
    done = fclocal("tools", "run", *words)
    assert (done.code, done.out) == (2, "") and said in done.err


def test_a_function_that_fails_is_exit_code_11(fclocal: Fclocal) -> None:
    done = fclocal("tools", "run", "explode", "--tools", "mine.py")
    assert (done.code, done.out) == (11, "") and "out of luck" in done.err
    done = fclocal("tools", "run", "calculator", '{"expression": "1/0"}', "--json")
    error = done.value["error"]  # type: ignore[index,call-overload]
    assert done.code == error["exit_code"] == 11 and "zero" in error["message"]


def test_a_function_that_is_only_described_does_not_run(fclocal: Fclocal, home: Path) -> None:
    (home / "f.json").write_text('{"function": "order", "description": "Order.", "arguments": []}')
    done = fclocal("tools", "run", "order", "--functions", "f.json")
    assert done.code == 2 and "only described" in done.err


def test_no_escape_sequence_of_a_tool_reaches_the_terminal(fclocal: Fclocal, home: Path) -> None:
    (home / "evil.py").write_text(
        'def evil() -> str:\n    """\\x1b]52;c;x\\x07."""\n    return "a\\x1b[2J\\x9b1m\\u202eb"\n'
    )
    for words in (("run", "evil"), ("run", "evil", "--json"), ("list",), ("list", "--json"), ("check",)):
        done = fclocal("tools", *words, "--tools", "evil.py")
        assert done.code == 0
        assert not {"\x1b", "\x9b", "\u202e", "\x07"} & {*done.out, *done.err}
    assert fclocal("tools", "run", "evil", "--tools", "evil.py", "--json").value == "a\x1b[2J\x9b1m\u202eb"


def test_running_a_servers_tool_by_hand_approves_it_once(fclocal: Fclocal, home: Path) -> None:
    done = fclocal("tools", "run", "here__act", "--mcp", "here", "--json")
    assert done.code == 0 and done.value == "done"
    assert "for this run only" in done.err and "hostile.py plain" in done.err and "s3cret" not in done.err
    listed = fclocal("tools", "list", "--mcp", "here")
    assert "here__act" not in listed.out and "not approved" in listed.err
    assert not (home / "data/mcp-approved.json").exists()


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("answer", "offered"), [("y", True), ("", False)])
def test_a_new_server_is_asked_about_in_a_terminal(home: Path, answer: str, offered: bool) -> None:
    ours, theirs = os.openpty()
    words = [sys.executable, "-m", "fclocal", "tools", "check", "--mcp", "here", "--json"]
    with subprocess.Popen(words, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE) as process:
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        out, _ = process.communicate(timeout=60)
    asked = os.read(ours, 65_536).decode()
    os.close(ours)
    assert "is new" in asked and str(HOSTILE) in asked and "Start it" in asked and "s3cret" not in asked
    assert [tool["name"] for tool in json.loads(out)] == (["here__act"] if offered else [])
    assert (home / "data/mcp-approved.json").exists() is offered

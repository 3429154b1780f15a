"""Ctrl-C in every phase of a command, and readers who go away: the right exit code, and never a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from tests.fake_hub import Fault, serve
from tests.gguf_bytes import gguf

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send on Windows")

TOOL = """
import os, pathlib, sys, time

def hang() -> str:
    \"\"\"Hang.\"\"\"
    pathlib.Path("pid").write_text(str(os.getpid()))
    print("the tool runs", file=sys.stderr, flush=True)
    time.sleep(600)

async def wait() -> str:
    \"\"\"Wait.\"\"\"
    import asyncio
    pathlib.Path("pid").write_text(str(os.getpid()))
    print("the tool runs", file=sys.stderr, flush=True)
    await asyncio.sleep(600)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.chdir(tmp_path)
    settings = tmp_path / "fclocal-config"
    settings.mkdir()
    (settings / "config.toml").write_text('[approval.rules]\nhang = "allow"\nwait = "allow"\n')
    (tmp_path / "slow.py").write_text(TOOL)
    return tmp_path


def interrupted(words: list[str], sign: str, *, python: tuple[str, ...] = ()) -> tuple[int, str, str]:
    """Run `fclocal` and press Ctrl-C when `sign` stands on stderr: exit code, stdout, and stderr after the sign."""
    command = [sys.executable, *python, "-m", "fclocal", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        try:
            line = "start"
            while line and sign not in line:
                line = process.stderr.readline()
            assert sign in line
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, out, err


@pytest.mark.parametrize("module", ["fclocal.cli.help", "typer.main", "fclocal.grammar.schema"])
def test_while_modules_are_imported(module: str) -> None:
    code, out, err = interrupted(["call", "What is 2 + 2?"], f" {module}\n", python=("-X", "importtime"))
    story = [line for line in err.splitlines() if not line.startswith("import time:")]
    assert (code, out) == (130, "") and story[-1:] == ["Interrupted."] and "Traceback" not in err


def test_while_the_model_is_loaded() -> None:
    words = ["call", "on and " * 1000, "--builtin", "none", "--choice", "none", "--max-tokens", "3000", "--verbose"]
    code, out, err = interrupted([*words, "--context", "16384", "--temperature", "3"], "llama_model_loader: ")
    assert (code, out) == (130, "") and "Traceback" not in err and err.rstrip().endswith("Interrupted.")


@pytest.mark.parametrize(
    ("words", "name"), [(["tools", "run"], "wait"), (["chat", "Go on", "--missing", "off", "--choice"], "hang")]
)
def test_while_a_tool_runs(home: Path, words: list[str], name: str) -> None:
    code, out, err = interrupted([*words, name, "--tools", "slow.py"], "the tool runs")
    assert (code, out) == (130, "") and err == "Interrupted.\n"
    assert not psutil.pid_exists(int((home / "pid").read_text())), "the process of the tool has ended, too"


def test_json_tells_the_interruption() -> None:
    code, out, _ = interrupted(["tools", "run", "hang", "--tools", "slow.py", "--json"], "the tool runs")
    assert code == 130 and json.loads(out)["error"]["type"] == "interrupted"


def test_while_a_model_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as hub:
        model = gguf(tensors={"token_embd.weight": ((64, 5), 1), "blk.0.ffn_up.weight": ((1024, 1500), 1)})
        hub.add("someone/model-GGUF", model_Q8_0_gguf=model)
        hub.fail("model_Q8_0.gguf", Fault(), Fault(cut=len(model) // 2, stall=True))
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        code, out, err = interrupted(["pull", "someone/model-GGUF"], "downloading [")
    assert (code, out) == (130, "") and "Traceback" not in err and "Interrupted." in err


def run_closed(words: list[str], *, close: str, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run `fclocal` with nobody at the other end of stdout, stderr or both: exit code, and stderr where it is read."""
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fclocal", *words],
            stdout=theirs if "out" in close else subprocess.DEVNULL,
            stderr=theirs if "err" in close else subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            timeout=100,
        )
    finally:
        os.close(theirs)
    return done.returncode, (done.stderr or b"").decode()


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["list"],
        ["chat", "What is 2 + 2?", "--choice", "none", "--max-tokens", "8"],
        ["show", "no-such-model", "--json"],
    ],
)
def test_a_closed_stdout_is_no_drama(words: list[str]) -> None:
    code, err = run_closed(words, close="out")
    assert code == 1
    assert not any(word in err for word in ("Traceback", "BrokenPipe", "Exception ignored", "Unexpected"))


@pytest.mark.parametrize(("words", "code"), [(["lst"], 2), (["call", "Hi", "--choice", "none"], 5)])
def test_a_closed_stderr_changes_no_exit_code(words: list[str], code: int) -> None:
    assert run_closed(words, close="err") == (code, "")
    assert run_closed(words, close="out err")[0] in (code, 1)


def test_streams_that_were_never_open() -> None:
    command = f'"{sys.executable}" -m fclocal tools run calculator \'{{"expression": "1+1"}}\' <&- >&-'
    for redirection in ("", "2>&-"):
        done = subprocess.run(["sh", "-c", f"{command} {redirection}"], capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_each_stream_may_be_missing(closed: str) -> None:
    command = f'"{sys.executable}" -m fclocal chat "What is 2 + 2?" --choice none --max-tokens 4 {closed}'
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=60)
    assert done.returncode == 0 and b"Unexpected" not in done.stderr
    assert b"question" not in done.stdout  # the story is for stderr alone
    silent = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m fclocal chat {closed}'], input=b"", capture_output=True
    )
    assert silent.returncode == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full stands for a full disk")
@pytest.mark.parametrize(
    "words",
    ["--help", "catalog", "catalog --json", "call Hi --choice none --max-tokens 4 --json", "call Hi --print-prompt"],
)
def test_an_answer_that_cannot_be_written_is_a_full_disk(words: str) -> None:
    done = subprocess.run(["sh", "-c", f'"{sys.executable}" -m fclocal {words} >/dev/full'], capture_output=True)
    story = done.stderr.decode()
    assert done.returncode == 12 and "cannot be written: No space left" in story
    assert not any(word in story for word in ("Traceback", "Unexpected", "Exception ignored"))
    both = subprocess.run(["sh", "-c", f'"{sys.executable}" -m fclocal {words} >/dev/full 2>&1'], capture_output=True)
    assert both.returncode == 12


def test_any_character_reaches_stdout_of_any_encoding(home: Path) -> None:
    hidden = "\u6771\u4eac \x9b31m \U0001f600 \ud800"
    schema = {"type": "object", "properties": {"a": {"const": hidden}}, "required": ["a"]}
    (home / "f.json").write_text(json.dumps({"name": "f", "parameters": schema}))
    words = ["call", "Z\u00fcrich", "--functions", "f.json", "--choice", "f"]
    for encoding in ("ascii", "latin-1", "utf-8"):
        done = subprocess.run(
            [sys.executable, "-m", "fclocal", *words],
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
        )
        assert json.loads(done.stdout)["arguments"] == {"a": hidden}, done.stderr
        assert b"\x9b" not in done.stdout and b"\xc2\x9b" not in done.stdout


def test_a_prompt_in_utf8_is_read_in_any_locale() -> None:
    words = [sys.executable, "-m", "fclocal", "call", "--print-prompt", "--builtin", "none"]
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([*words, "Z\u00fcrich \u6771\u4eac".encode()], env=plain, capture_output=True)
    assert done.returncode == 0 and "Z\u00fcrich \u6771\u4eac" in done.stdout.decode("utf-8")
    assert subprocess.run([*words, b"\xff"], env=plain, capture_output=True).returncode == 2

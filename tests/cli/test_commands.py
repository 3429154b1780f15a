"""The commands as a user runs them: real processes, the real engine, the built-in model."""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from fclocal import __version__
from fclocal.__main__ import main
from fclocal.chat.store import FILE, Sessions
from fclocal.cli.help import render
from fclocal.messages import UserMessage

WEATHER = {
    "function": "get_weather",
    "description": "Get the weather in a city.",
    "arguments": [{"name": "city", "type": "string", "description": "The city"}],
}
CALL = '{"function": "get_weather", "arguments": {"city": '


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing of this machine's user is seen."""
    folders = {f"FCLOCAL_{name}": str(tmp_path / name.lower()) for name in ("CONFIG", "DATA", "CACHE")}
    return {**os.environ, **folders, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "COLUMNS": "100"}


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    file = tmp_path / "functions.json"
    file.write_text(json.dumps(WEATHER))
    return file


def run(home: dict[str, str], *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """`fclocal` with these words; never a traceback, never llama.cpp's log."""
    done = subprocess.run(
        [sys.executable, "-m", "fclocal", *words], env=home, input=stdin, capture_output=True, timeout=60, check=False
    )
    story = done.stderr.decode()
    assert "Traceback" not in story
    assert "llama_" not in story and "ggml_" not in story
    return done


def test_the_version_is_one_line(home: dict[str, str]) -> None:
    done = run(home, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"fclocal {__version__}\n".encode(), b"")


def test_the_starter_needs_no_index_that_can_be_read(home: dict[str, str], functions: Path) -> None:
    index = Path(home["FCLOCAL_DATA"]) / "models.sqlite"
    index.parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(index)) as database:
        database.execute("PRAGMA user_version = 99")
    before = index.read_bytes()
    done = run(home, "call", "What is the weather in Paris?", "--functions", str(functions), "--choice", "required")
    assert done.returncode == 0 and done.stdout.startswith(CALL.encode())
    assert "was written by a newer fclocal" in done.stderr.decode()
    assert index.read_bytes() == before


def test_call_prints_one_json_line_and_nothing_else(home: dict[str, str], functions: Path) -> None:
    done = run(home, "call", "What is the weather in Paris?", "--functions", str(functions), "--choice", "required")
    assert done.returncode == 0
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 1
    made = json.loads(lines[0])
    assert made["function"] == "get_weather"
    assert list(made["arguments"]) == ["city"]


def test_call_with_json_has_the_receipt(home: dict[str, str], functions: Path) -> None:
    done = run(home, "call", "weather in Oslo", "--functions", str(functions), "--choice", "get_weather", "--json")
    value = json.loads(done.stdout)
    assert set(value) == {"function", "arguments", "receipt"}
    receipt = value["receipt"]
    assert receipt["grammar"] == "full" and receipt["valid"] is True
    assert receipt["dialect"] == "trelis-llama" and receipt["quant"] == "Q8_0" and len(receipt["sha256"]) == 64
    assert receipt["tokens"]["forced"] > 0
    assert set(receipt["arguments"]) == {"city"}


def test_the_same_seed_gives_the_same_call(home: dict[str, str], functions: Path) -> None:
    words = ("call", "weather", "--functions", str(functions), "--choice", "required", "--temperature", "1.5")
    runs = [run(home, *words, "--seed", seed).stdout for seed in ("7", "7", "8")]
    assert runs[0] == runs[1] != b""


def test_print_prompt_is_the_cards_bytes(home: dict[str, str], functions: Path) -> None:
    words = ("--functions", str(functions), "--builtin", "none", "--print-prompt")
    block = f"<FUNCTIONS>{json.dumps(WEATHER, indent=4)}</FUNCTIONS>\n\n"
    done = run(home, "chat", " Weather in 巴黎? 🌧 ", "--system", "Be brief.", *words)
    assert done.stdout.decode() == f"{block}[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nWeather in 巴黎? 🌧 [/INST]\n\n"
    done = run(home, "call", "Hi", "--dialect", "trelis-deepseek", *words)
    assert done.stdout.decode() == f"{block}\n### Instruction:\nHi\n### Response:\n\n\n"
    done = run(home, "call", "Hi", "--choice", "none", *words)
    assert done.stdout.decode() == "[INST] Hi [/INST]\n\n"


def test_a_prompt_may_come_through_a_pipe(home: dict[str, str]) -> None:
    done = run(home, "chat", "--print-prompt", "--builtin", "none", stdin=b"from a pipe\n")
    assert done.stdout.decode() == "[INST] from a pipe [/INST]\n\n"


def test_text_in_place_of_a_call_is_exit_code_5(home: dict[str, str], functions: Path) -> None:
    done = run(home, "call", "Hello", "--functions", str(functions), "--choice", "none")
    assert (done.returncode, done.stdout) == (5, b"")
    text, sentence = done.stderr.decode().rsplit("The model answered in text instead of a call", 1)
    assert text.strip() and sentence


def test_a_required_call_that_cannot_be_finished_is_exit_code_10(home: dict[str, str], functions: Path) -> None:
    words = ("call", "Weather", "--functions", str(functions), "--choice", "required", "--max-tokens", "1")
    done = run(home, *words)
    assert (done.returncode, done.stdout) == (10, b"")


def test_chat_answers_on_stdout_and_tells_the_story_on_stderr(home: dict[str, str]) -> None:
    done = run(home, "chat", "What is 12 * (3 + 4)?", "--choice", "calculator")
    assert done.returncode == 0
    story = done.stderr.decode()
    assert '"function": "calculator"' in story and "valid, grammar full" in story
    assert "calculator" not in done.stdout.decode()


def test_chat_as_json_is_one_value(home: dict[str, str]) -> None:
    done = run(home, "chat", "What is 2 + 3?", "--choice", "calculator", "--json")
    value = json.loads(done.stdout)
    assert value["calls"][0]["function"] == "calculator"
    assert {"receipt", "result", "outcome"} <= set(value["calls"][0])
    assert done.stderr == b""


def test_functions_of_a_file_are_proposed_not_run(home: dict[str, str], functions: Path) -> None:
    words = ("--functions", str(functions), "--builtin", "none", "--choice", "get_weather", "--missing", "off")
    done = run(home, "chat", "Weather in Rome", *words)
    assert done.returncode == 0
    assert json.loads(done.stdout)["function"] == "get_weather"


def test_what_needs_permission_does_not_run_without_a_terminal(home: dict[str, str]) -> None:
    words = ("--builtin", "search_web", "--choice", "search_web", "--missing", "off")
    done = run(home, "chat", "Search the web for kites", *words)
    assert done.returncode == 6
    assert b"Nobody was there to allow it" in done.stderr


def run_here(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    home: dict[str, str],
    words: list[str],
    stdin: bytes,
) -> tuple[int, str, str]:
    """`fclocal` in this process, which spares the start: exit code, stdout, stderr."""
    for name in home:
        if name.startswith(("FCLOCAL_", "HF_")):
            monkeypatch.setenv(name, home[name])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8"))
    monkeypatch.setattr(sys, "argv", ["fclocal", *words])
    with pytest.raises(SystemExit) as left:
        main()
    output, story = capfd.readouterr()
    return int(left.value.code or 0), output, story


def test_a_conversation_is_kept_and_goes_on(home: dict[str, str]) -> None:
    run(home, "chat", "First words", "--choice", "none")
    done = run(home, "chat", "Second words", "--choice", "none", "--resume", "last", "--json")
    assert done.returncode == 0
    with Sessions(Path(home["FCLOCAL_DATA"]) / FILE) as stored:
        (summary,) = stored.list()
        messages = stored.load(summary.id).messages
    assert [message.text for message in messages if isinstance(message, UserMessage)] == ["First words", "Second words"]
    prompt = json.loads(done.stdout)["tokens"]["prompt"]
    alone = json.loads(run(home, "chat", "Second words", "--choice", "none", "--json").stdout)["tokens"]["prompt"]
    assert prompt > alone


@pytest.mark.skipif(os.name == "nt", reason="folders cannot be made read-only this way on Windows")
def test_a_conversation_that_cannot_be_kept_goes_on_all_the_same(home: dict[str, str]) -> None:
    Path(home["FCLOCAL_DATA"]).write_text("a file where the folder should be")
    done = run(home, "chat", "Hello", "--choice", "none")
    assert done.returncode == 0 and done.stdout
    assert "is not kept" in done.stderr.decode()


BROKEN = {"function": "broken", "arguments": [{"name": "x", "type": "no such type"}]}


@pytest.mark.parametrize(
    ("content", "words", "code"),
    [
        ("not json", "is not JSON", 2),
        ('{"description": "x"}', "has no name", 2),
        (json.dumps([WEATHER, WEATHER]), "two functions named 'get_weather'", 2),
        (json.dumps(BROKEN), "No function is left to offer", 2),
    ],
)
def test_bad_function_files(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    home: dict[str, str],
    tmp_path: Path,
    content: str,
    words: str,
    code: int,
) -> None:
    file = tmp_path / "bad.json"
    file.write_text(content)
    left, output, story = run_here(monkeypatch, capfd, home, ["call", "Hi", "--functions", str(file)], b"")
    assert (left, output) == (code, "")
    assert words in story
    assert len(story.splitlines()) == 1


def test_a_broken_schema_among_good_ones_is_set_aside_with_a_warning(home: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "mixed.json"
    file.write_text(json.dumps([WEATHER, BROKEN]))
    done = run(home, "call", "Weather in Rome", "--functions", str(file), "--choice", "required")
    assert done.returncode == 0
    assert "broken is set aside" in done.stderr.decode()
    done = run(home, "call", "Weather in Rome", "--functions", str(file), "--choice", "broken")
    assert (done.returncode, done.stdout) == (2, b"")
    assert "broken cannot be called" in done.stderr.decode()


@pytest.mark.parametrize(
    ("words", "stdin", "code", "said"),
    [
        (["call", ""], b"", 2, "The prompt is empty"),
        (["call"], b"", 2, "The prompt is empty"),
        (["call"], b"caf\xe9", 2, "not UTF-8"),
        (["call", "Hi", "--choice", "nothing"], b"", 2, "No function 'nothing'"),
        (["call", "Hi", "--functions", "missing.json"], b"", 2, "Cannot read missing.json"),
        (["call", "Hi", "--gpu-layers", "many"], b"", 2, "--gpu-layers 'many'"),
        (["call", "Hi", "--dialect", "trelis-lama"], b"", 2, "Did you mean 'trelis-llama'"),
        (["call", "Hi", "--builtin", "calculater"], b"", 2, "calculator"),
        (["call", "Hi", "--missing", "never"], b"", 2, "--missing 'never'"),
        (["call", "Hi", "--model", "starter:Q4_9"], b"", 3, "There is: Q8_0"),
        (["call", "Hi", "--tools", "missing.py"], b"", 2, "Cannot read missing.py"),
        (["call", "Hi", "--model", "no-such-model"], b"", 3, "No model 'no-such-model'"),
        (["call", "Hi", "--model", "./missing.gguf"], b"", 3, "missing.gguf"),
        (["call", "Hi", "--builtin", "none"], b"", 2, "There is no function to call"),
        (["call", "word " * 9000], b"", 9, "takes"),
        (["chat", "Hi", "--context", "100"], b"", 9, "functions"),
    ],
)
def test_bad_input_is_one_clear_refusal(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    home: dict[str, str],
    words: list[str],
    stdin: bytes,
    code: int,
    said: str,
) -> None:
    left, output, story = run_here(monkeypatch, capfd, home, words, stdin)
    assert (left, output) == (code, "")
    assert said in story and "Traceback" not in story


@pytest.mark.parametrize("content", [b"", b"<html>", b"GGUF\x01\x00\x00\x00", b"GGUF\x03\x00\x00\x00" + b"\xff" * 64])
def test_broken_model_files(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    home: dict[str, str],
    tmp_path: Path,
    content: bytes,
) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    left, output, story = run_here(monkeypatch, capfd, home, ["call", "Hi", "--model", str(file)], b"")
    assert (left, output) == (4, "")
    assert "model.gguf" in story and "Traceback" not in story


VOCABULARY = Path(__file__).parents[3] / "shared" / "vocabs" / "ggml-vocab-llama-spm.gguf"


@pytest.mark.skipif(not VOCABULARY.exists(), reason="the folder of vocabularies is not here")
def test_a_vocabulary_is_not_a_model(home: dict[str, str]) -> None:
    done = run(home, "call", "Hi", "--model", str(VOCABULARY))
    assert (done.returncode, done.stdout) == (4, b"")
    assert "vocabulary" in done.stderr.decode()


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send on Windows")
def test_ctrl_c_ends_a_long_reply_at_once(home: dict[str, str]) -> None:
    words = ["chat", "on and " * 1500, "--builtin", "none", "--temperature", "3", "--max-tokens", "100000"]
    started = subprocess.Popen(
        [sys.executable, "-m", "fclocal", *words], env=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert started.stderr is not None
    try:
        assert started.stderr.readline().startswith(b"question ")
        started.send_signal(signal.SIGINT)
        output, story = started.communicate(timeout=20)
    finally:
        started.kill()
    assert (started.returncode, output) == (130, b"")
    assert story.decode() == "Interrupted.\n"


def test_help_is_what_the_command_line_says() -> None:
    page = Path(sys.modules["fclocal.cli.help"].__file__ or "").with_name("help.txt")
    assert page.read_text("utf-8") == render(), "run: python -m fclocal.cli.help"

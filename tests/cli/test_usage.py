"""Words that cannot be read, and failures as JSON: one sentence, one exit code, one value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fclocal.cli.app import COMMANDS, build, command_words, run

FUNCTION = '{"name": "f", "parameters": {"type": "object", "properties": {}}}'


def fclocal(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        run(list(words))
    captured = capsys.readouterr()
    return int(left.value.code or 0), captured.out, captured.err


@pytest.mark.parametrize(
    ("words", "sentence", "cure"),
    [
        (["list", "--jsn"], "fclocal list has no option --jsn.", "Did you mean --json? See: fclocal list --help"),
        (["list", "--zzz"], "fclocal list has no option --zzz.", "See: fclocal list --help"),
        (["--modle", "x"], "fclocal has no option --modle.", "Did you mean --model?"),
        (["lst"], "There is no command 'lst'.", "Did you mean 'list'?"),
        (["tools", "chek"], "There is no command 'tools chek'.", "Did you mean 'check'? See: fclocal tools --help"),
        (["tools", "run"], "Missing argument 'NAME'.", "See: fclocal tools run --help"),
        (["call", "Hi", "--seed", "x"], "Invalid value for '--seed': Input should be a valid integer.", "See: "),
        (["serve", "--port", "99999"], "less than or equal to 65535.", "See: fclocal serve --help"),
        (["call", "--model"], "Option '--model' requires an argument.", "See: "),
        (["sessions", "show", "a", "b"], "unexpected extra argument(s) (b).", "See: fclocal sessions show --help"),
        (["call", "Hi", "--model", "a", "--model", "b"], "--model is given twice.", "Write it once."),
        (["call", "Hi", "--seed", "1", "--seed=1"], "--seed is given twice.", "Write it once."),
        (["call", "Hi", "--builtin", "weather", "--builtin", "weather"], "--builtin weather is given twice.", "once"),
        (["--model", "a", "call", "Hi"], "--model comes before the command.", "Write it after call."),
    ],
)
def test_bad_words_are_one_sentence_with_a_cure(
    capsys: pytest.CaptureFixture[str], words: list[str], sentence: str, cure: str
) -> None:
    code, out, err = fclocal(capsys, *words)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert sentence in line and cure in line


def test_one_file_written_in_two_ways_is_given_twice(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.json").write_text(FUNCTION)
    Path("other.json").write_text(FUNCTION)
    words = ("tools", "list", "--functions", "f.json", "--functions")
    code, _, err = fclocal(capsys, *words, str(tmp_path / "f.json"))
    assert code == 2 and "is given twice" in err
    code, _, err = fclocal(capsys, *words, "other.json")
    assert code == 2 and "f.json and other.json both describe 'f'" in err


def test_a_word_for_another_option_is_not_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = fclocal(capsys, "call", "Hi", "--system", "--seed", "--seed", "x")
    assert code == 2 and "Invalid value for '--seed'" in err


@pytest.mark.parametrize(
    "words", [name for name in command_words(build()) if name not in ("serve", "tools", "sessions")]
)
def test_every_command_tells_its_failure_as_one_json_value(capsys: pytest.CaptureFixture[str], words: str) -> None:
    code, out, err = fclocal(capsys, *words.split(), "--json", "--no-such-option")
    error = json.loads(out)["error"]
    assert code == error["exit_code"] == 2 and error["type"] == "usage"
    assert f"{error['message']} {error['cure']}\n" == err


@pytest.mark.parametrize(
    ("words", "kind", "code"),
    [
        (["call", "Hi", "--model", "no-such-model"], "model_missing", 3),
        (["chat", "Hi", "--model", "./none.gguf"], "model_missing", 3),
        (["chat", "Hi", "--resume", "nothing"], "usage", 2),
        (["chat", ""], "usage", 2),
        (["show", "no-such-model"], "model_missing", 3),
        (["remove", "no-such-model"], "model_missing", 3),
        (["verify", "no-such-model"], "model_missing", 3),
        (["bench", "--model", "no-such-model"], "model_missing", 3),
        (["import", "./no-such-folder"], "model_missing", 3),
        (["tools", "list", "--functions", "none.json"], "usage", 2),
        (["tools", "check", "--tools", "none.py"], "usage", 2),
        (["tools", "run", "calculator", "{"], "usage", 2),
        (["tools", "run", "calculator", '{"expression": "1/0"}'], "tool_failed", 11),
        (["sessions", "show", "nothing"], "usage", 2),
        (["sessions", "export", "nothing"], "usage", 2),
        (["sessions", "rename", "nothing", "x"], "usage", 2),
        (["sessions", "remove", "nothing"], "usage", 2),
        (["doctor", "--back"], "usage", 2),
    ],
)
def test_a_refusal_is_one_json_value_with_the_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], kind: str, code: int
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    left, out, err = fclocal(capsys, *words, "--json")
    error = json.loads(out)["error"]
    assert (left, error["type"], error["exit_code"]) == (code, kind, code)
    assert error["message"] in err and set(error) >= {"type", "exit_code", "message", "cure"}


def test_what_is_left_of_an_unexpected_error_is_json_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fclocal.cli.session_commands.show_list", None)
    code, out, err = fclocal(capsys, "sessions", "list", "--json")
    assert code == 1 and json.loads(out)["error"]["type"] == "unexpected"
    assert err.startswith("Unexpected: TypeError") and "Traceback" not in err


def test_without_json_stdout_stays_empty(capsys: pytest.CaptureFixture[str]) -> None:
    assert fclocal(capsys, "show", "no-such-model")[1] == ""
    assert fclocal(capsys, "call", "--model", "no-such-model", "--", "--json")[1] == ""


def test_resuming_what_is_not_there_is_refused_before_the_question_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = fclocal(capsys, "chat", "--resume", "NOPE", "What is 2 + 2?")
    assert (code, out) == (2, "") and "NOPE" in err and "question" not in err


def test_text_that_was_asked_for_gets_no_advice_to_require_a_call(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("call", "Hello", "--builtin", "weather", "--max-tokens", "8", "--json")
    code, out, err = fclocal(capsys, *words, "--choice", "none")
    error = json.loads(out)["error"]
    assert code == 5 and error["text"] and error["cure"] == "" and "--choice required" not in err


def test_every_command_is_here() -> None:
    assert set(COMMANDS) <= {words.split()[0] for words in command_words(build())}

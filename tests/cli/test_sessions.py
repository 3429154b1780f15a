"""`fclocal sessions` as a user runs it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from fclocal.chat.store import Sessions
from fclocal.cli.app import run
from fclocal.messages import AssistantMessage, FunctionCall, FunctionResult, UserMessage

CALL = FunctionCall("c1", "weather", {"city": "Graz"})


@pytest.fixture
def ids() -> list[str]:
    found = []
    with Sessions() as stored:
        for text in ("The weather in Graz?", "Kites \x1b[31mred"):
            record = stored.record(model="starter", dialect="trelis-llama")
            record.message(UserMessage(text), {})
            record.message(AssistantMessage("", (CALL,)), {})
            record.began(CALL, verdict="allow by the user", original=None)
            found.append(record.id)
        record.ended(CALL, FunctionResult("c1", "sunny", name="weather"), ms=1)
    return found


def fclocal(*words: str) -> int:
    with pytest.raises(SystemExit) as done:
        run(["sessions", *words])
    return int(done.value.code or 0)


def test_list(ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert fclocal("list", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in found] == ids[::-1]
    assert [one["unknown"] for one in found] == [0, 1]
    assert fclocal("list") == 0
    out = capsys.readouterr().out
    assert "1 of unknown outcome" in out
    assert "\x1b" not in out


def test_list_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert fclocal("list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert fclocal("list") == 0


def test_show(ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert fclocal("show", ids[0]) == 0
    captured = capsys.readouterr()
    assert "The weather in Graz?" in captured.out
    assert "unknown" in captured.err
    assert fclocal("show", "last", "--json") == 0
    assert json.loads(capsys.readouterr().out)["id"] == ids[1]
    assert fclocal("show", "nothing") == 2


def test_search(ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert fclocal("search", "weath", "--json") == 0
    assert [one["session"] for one in json.loads(capsys.readouterr().out)] == [ids[0]]
    assert fclocal("search", "nowhere") == 0
    assert "No message" in capsys.readouterr().err


def test_rename(ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert fclocal("rename", ids[0], "My", "weather") == 0
    assert fclocal("show", "My weather", "--json") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "My weather"


def test_export(ids: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "out.jsonl"
    assert fclocal("export", ids[1], "--format", "jsonl", "-o", str(file)) == 0
    (line,) = file.read_text("utf-8").splitlines()
    assert json.loads(line)["prompt"].startswith("[INST] Kites")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert fclocal("export", ids[0], "--format", "jsonl") == 0
    assert "Left out 1 reply whose" in capsys.readouterr().err
    assert fclocal("export", ids[0], "--format", "markdown") == 0
    assert capsys.readouterr().out.startswith("# The weather")
    assert fclocal("export", ids[0]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == ids[0]
    assert fclocal("export", ids[0], "--format", "pdf") == 2
    assert fclocal("export", ids[0], "-o", str(tmp_path)) == 12


def test_export_as_json_is_one_value(ids: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fclocal("export", ids[0], "--json") == 0
    assert json.loads(capsys.readouterr().out)["id"] == ids[0]
    assert fclocal("export", ids[1], "--format", "jsonl", "--json") == 0
    (line,) = json.loads(capsys.readouterr().out)
    assert line["prompt"].startswith("[INST] Kites")
    assert fclocal("export", ids[0], "--format", "markdown", "--json") == 0
    assert json.loads(capsys.readouterr().out).startswith("# The weather")
    file = tmp_path / "out.jsonl"
    assert fclocal("export", ids[0], "--format", "jsonl", "--json", "-o", str(file)) == 0
    assert json.loads(capsys.readouterr().out) == {"path": str(file), "format": "jsonl", "left_out": 1}
    assert file.read_text() == ""


def test_remove(ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert fclocal("remove", ids[0], "nothing") == 2
    assert fclocal("remove", *ids, "--json") == 0
    capsys.readouterr()
    assert fclocal("list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []

"""`fclocal doctor` on files that another version stored: it says so, and leaves them as they are."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from fclocal import paths
from fclocal.chat.store import Sessions
from fclocal.cli.app import run
from fclocal.messages import UserMessage
from fclocal.models.store import Store
from fclocal.tools.mcp.trust import Approval, user_approvals

LATER = 99


def problems(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What doctor finds wrong, with the cures; not what it says of this machine's disk and GPU."""
    with pytest.raises(SystemExit) as left:
        run(["doctor", "--json"])
    found: dict[str, str] = json.loads(capsys.readouterr().out)["problems"]
    assert left.value.code == int(bool(found))
    return {sentence: cure for sentence, cure in found.items() if "GPU" not in sentence and "of disk" not in sentence}


def sessions() -> Path:
    with Sessions() as stored:
        stored.record().message(UserMessage("hello"), {})
        return stored.path


def index() -> Path:
    store = Store()
    store.mark_used(store.own_folder / "model.gguf")
    return store.index


def approvals() -> Path:
    user_approvals().put("launch", Approval(None), remember=True)
    return paths.data_folder() / "mcp-approved.json"


def raise_format(file: Path) -> None:
    if file.suffix == ".json":
        file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"format": LATER}), "utf-8")
        return
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"PRAGMA user_version = {LATER}")


def test_what_this_version_wrote_is_no_problem(capsys: pytest.CaptureFixture[str]) -> None:
    assert problems(capsys) == {}
    assert not paths.data_folder().exists()
    for make in (sessions, index, approvals):
        make()
    assert problems(capsys) == {}


@pytest.mark.parametrize(
    ("make", "named", "cure"),
    [
        (sessions, "The sessions file", "set FCLOCAL_DATA"),
        (index, "The model index", "move the index away"),
        (approvals, "The approvals file", "approve the servers again"),
    ],
)
def test_what_a_later_version_wrote_is_named_and_left_alone(
    make: Callable[[], Path], named: str, cure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = make()
    raise_format(file)
    before = file.read_bytes()
    found = problems(capsys)
    assert [sentence.startswith(f"{named} {file} was written by a newer fclocal") for sentence in found] == [True]
    assert cure in " ".join((*found, *found.values()))
    assert file.read_bytes() == before


def test_settings_of_a_later_version_are_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    file = paths.private_folder(paths.config_folder()) / "config.toml"
    file.write_text("telepathy = true\n", "utf-8")
    ((sentence, cure),) = problems(capsys).items()
    assert "telepathy" in sentence and "Update fclocal" in cure


def test_a_damaged_sessions_file_is_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    file = sessions()
    content = b"no database" * 200
    file.write_bytes(content)
    ((sentence, cure),) = problems(capsys).items()
    assert "is not a sessions file" in sentence and "Move it away" in cure
    assert file.read_bytes() == content


def test_a_damaged_index_heals_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    index().write_bytes(b"no database" * 100)
    assert problems(capsys) == {}

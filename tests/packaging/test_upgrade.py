"""What an earlier version wrote is read by this one; what a later one wrote is refused and left as it was.

The files in formats/ were written by real versions. Never change one: a change of format adds the next beside it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from fclocal import paths
from fclocal.chat import database
from fclocal.chat.migrations import MIGRATIONS
from fclocal.chat.store import Sessions
from fclocal.config import Approval, Config, Files, Generation, Search, read_config
from fclocal.errors import ExitCode, NewerFile, UsageError
from fclocal.events import Origin
from fclocal.messages import AssistantMessage, UserMessage
from fclocal.models.cache import repo_folder
from fclocal.models.catalog import load_catalog
from fclocal.models.keep import find_installed
from fclocal.models.store import FORMAT as MODELS_FORMAT
from fclocal.models.store import Store
from fclocal.tools.mcp.trust import Approval as McpApproval
from fclocal.tools.mcp.trust import Approvals
from tests.gguf_bytes import gguf

FORMATS = Path(__file__).with_name("formats")
COMMIT = "c" * 40


@pytest.fixture
def sessions_file() -> Path:
    """The sessions of the first version."""
    file = paths.private_folder(paths.data_folder()) / "sessions.db"
    file.write_bytes(gzip.decompress((FORMATS / "sessions-1.db.gz").read_bytes()))
    return file


@pytest.fixture
def index(tmp_path: Path) -> Store:
    """A model in the cache and the index of the first version that knows it."""
    store = Store(root=tmp_path / "hub")
    folder = repo_folder("owner/repo", root=store.root).snapshot(COMMIT)
    folder.mkdir(parents=True)
    path = folder / "model.Q8_0.gguf"
    path.write_bytes(gguf())
    state = path.stat()
    text = (FORMATS / "models-0.sql").read_text("utf-8")
    paths.private_folder(store.data)
    with closing(sqlite3.connect(store.index)) as connection, connection:
        connection.executescript(
            text.format(
                path=path.resolve(), size=state.st_size, mtime=state.st_mtime_ns, sha256="5" * 64, commit=COMMIT
            )
        )
    return store


def set_format(file: Path, number: int) -> bytes:
    """Give a SQLite file a format and return its bytes."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"PRAGMA user_version = {number}")
    return file.read_bytes()


def test_sessions_of_the_first_version_are_read(sessions_file: Path) -> None:
    with Sessions() as stored:
        assert stored.check() == "ok"
        assert [(one.id, one.title, one.messages, one.calls) for one in stored.list()] == [
            ("aaaa0002", "Named by hand", 2, 0),
            ("aaaa0001", "What is the weather in Zürich?", 7, 2),
        ]
        whole = stored.load("aaaa0001")
        asked, deleted = whole.calls
        assert asked.outcome == "done" and asked.call.arguments == {"city": "Zürich", "unit": "C"}
        assert asked.receipt is not None
        assert asked.receipt.unenforced == {"/properties/city/pattern": "pattern"}
        assert asked.receipt.origins["city"] == Origin("user", "Zürich", 1, (24, 30), 0.5)
        assert deleted.outcome == "unknown" and deleted.final.arguments == {"path": "b.txt"}
        assert [function.name for function in whole.functions] == ["get_weather", "delete_file"]
        assert whole.functions[0].metadata is not None and whole.functions[1].tool is not None
        assert stored.search("zurich")[0].session.id == "aaaa0001"


def test_sessions_of_the_first_version_go_on(sessions_file: Path) -> None:
    with Sessions() as stored:
        stored.go_on("aaaa0002").message(UserMessage("and now?"), {})
    with Sessions() as stored:
        assert stored.load("aaaa0002").messages[-2:] == (AssistantMessage("Hi."), UserMessage("and now?"))


def test_what_shipped_of_the_schema_never_changes() -> None:
    digests = [hashlib.sha256("\0".join(statements).encode()).hexdigest()[:16] for statements in MIGRATIONS]
    assert digests[:1] == ["d031efece038579a"]


def test_additions_of_a_later_version_within_a_format_are_read(sessions_file: Path) -> None:
    with closing(sqlite3.connect(sessions_file)) as connection, connection:
        connection.execute("UPDATE calls SET receipt = json_set(receipt, '$.mood', 1, '$.origins.city.mood', 2)")
        connection.execute("UPDATE sessions SET functions = json_set(functions, '$[0].mood', 3)")
    with Sessions() as stored:
        whole = stored.load("aaaa0001")
        assert whole.calls[0].receipt is not None and len(whole.functions) == 2


def test_sessions_of_a_later_version_are_refused(sessions_file: Path) -> None:
    before = set_format(sessions_file, len(MIGRATIONS) + 1)
    with pytest.raises(NewerFile, match="newer fclocal") as caught:
        Sessions()
    assert caught.value.exit_code == ExitCode.DISK and "Update fclocal, or set FCLOCAL_DATA" in str(caught.value)
    assert sessions_file.read_bytes() == before


def test_a_file_that_is_migrated_while_it_is_open_is_written_no_more(
    sessions_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sessions() as older:
        record = older.go_on("aaaa0002")
        later = (*MIGRATIONS, ("ALTER TABLE sessions ADD COLUMN mood TEXT",))
        with monkeypatch.context() as patch:
            patch.setattr(database, "MIGRATIONS", later)
            Sessions().close()
        with pytest.raises(NewerFile):
            record.message(UserMessage("not kept"), {})
        assert record.stopped
    with closing(sqlite3.connect(sessions_file)) as connection:
        assert connection.execute("SELECT count(*) FROM messages WHERE text = 'not kept'").fetchone() == (0,)


def test_models_of_the_first_version_are_known(index: Store) -> None:
    (model,) = find_installed("owner/repo", load_catalog(), index)
    assert model.ours and model.verified == "2026-11-23T20:00:00+00:00"
    assert model.used == "2026-11-23T21:00:00+00:00"
    assert index.known_sha256(model.path) == "5" * 64


def test_an_index_of_a_later_version_is_refused(index: Store) -> None:
    before = set_format(index.index, MODELS_FORMAT + 1)
    with pytest.raises(NewerFile, match="model index") as caught:
        index.installed()
    assert "move the index away" in caught.value.cure
    model = next(index.root.glob("**/*.gguf"))
    index.mark_used(model)
    with pytest.raises(NewerFile):
        index.file_sha256(model)
    assert index.index.read_bytes() == before


def test_approvals_of_the_first_version_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "mcp-approved.json"
    file.write_bytes((FORMATS / "mcp-approved-0.json").read_bytes())
    file.chmod(0o600)
    one, two = ("0" * 63 + "1", "0" * 63 + "2")
    approvals = Approvals(file)
    approvals.put("three", McpApproval(None), remember=True)
    for read in (approvals, Approvals(file)):
        assert read.problem == ""
        assert read.get(one) == McpApproval(None) and read.get("three") == McpApproval(None)
        assert read.get(two) == McpApproval({"read": "0" * 62 + "ab"})


def test_approvals_of_a_later_version_are_not_written_over(tmp_path: Path) -> None:
    file = tmp_path / "mcp-approved.json"
    file.write_text(json.dumps({"format": 2, "servers": {"a": {"tools": None}}, "more": [1]}), "utf-8")
    file.chmod(0o600)
    before = file.read_bytes()
    approvals = Approvals(file)
    assert approvals.get("a") is None and "newer fclocal (format 2" in approvals.problem
    with pytest.raises(NewerFile):
        approvals.put("b", McpApproval(None), remember=True)
    approvals.put("b", McpApproval(None), remember=False)
    assert approvals.get("b") is not None and file.read_bytes() == before


def test_settings_of_the_first_version_are_read() -> None:
    assert read_config(FORMATS / "config-1.toml") == Config(
        model="mistral-7b:Q4_K_M",
        generation=Generation(temperature=0.5, max_tokens=99, seed=7),
        approval=Approval(mode="allow-reads", rules={"delete_file": "deny", "save_chat(path=/tmp/*)": "allow"}),
        search=Search(provider="searxng", url="http://127.0.0.1:8888", key_env="MY_KEY"),
        files=Files(roots=(Path("/srv/notes"),)),
    )


@pytest.mark.parametrize(
    ("text", "key", "cure"),
    [
        ("telepathy = true", "telepathy", "Update fclocal if a newer one wrote it, or remove the key."),
        ("[approval]\nmoed = 'ask'", "approval.moed", "Did you mean mode? If not, update fclocal or remove the key."),
        ("[zzz]\nx = 1", "zzz", "Update fclocal if a newer one wrote it, or remove the key."),
    ],
)
def test_settings_of_a_later_version_are_refused(tmp_path: Path, text: str, key: str, cure: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=f"knows no setting {key}\\.") as caught:
        read_config(file)
    assert str(file) in caught.value.sentence and caught.value.cure == cure
    assert file.read_text("utf-8") == text

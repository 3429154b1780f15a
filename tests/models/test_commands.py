"""The commands about models, as users type them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fclocal.cli.app import build
from fclocal.models.cache import PART, repo_folder
from fclocal.models.names import starter_path
from fclocal.models.store import Store
from tests.fake_hub import FakeHub, Fault
from tests.gguf_bytes import gguf

REPO = "Qwen/Qwen3-4B-GGUF"
NAME = "Qwen3-4B-Q4_K_M.gguf"


@pytest.fixture(autouse=True)
def hub_here(fake: FakeHub, model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", fake.endpoint)
    fake.add(REPO).files |= {NAME: model, "Qwen3-4B-Q8_0.gguf": gguf()}


def run(*words: str) -> Result:
    return CliRunner().invoke(build(words[0]), list(words), prog_name="fclocal")


def value(*words: str) -> object:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


def test_catalog_as_a_table_and_as_json() -> None:
    table = run("catalog", "qwen3-4b")
    assert table.exit_code == 0
    assert table.stdout.splitlines()[0].split() == [
        "NAME",
        "SIZE",
        "FITS",
        "ACCESS",
        "FILES",
        "LICENCE",
        "DIALECT",
        "INSTALLED",
    ]
    assert "qwen3-4b" in table.stdout
    rows = value("catalog")
    assert isinstance(rows, list)
    by_id = {row["id"]: row for row in rows}
    assert by_id["trelis-deepseek-33b"]["purchase_url"] == "https://buy.stripe.com/9AQ6pabSd81RcV25kT"
    assert by_id["qwen3.5-4b"]["dialect_exists"] is False
    assert value("catalog", "nosuchword") == []


def test_catalog_says_what_is_wrong_in_the_users_file(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "models.toml").write_text("[models.x]\ntitel = 1\n")
    result = run("catalog", "starter")
    assert result.exit_code == 0
    assert "models.x" in result.stderr


def test_pull_list_show_verify_remove(model: bytes) -> None:
    dry = value("pull", "qwen3-4b", "--dry-run")
    assert isinstance(dry, dict)
    assert (dry["quant"], dry["size"], dry["missing"]) == ("Q4_K_M", len(model), len(model))
    assert dry["fit"]["fits"] is True
    pulled = run("pull", "qwen3-4b")
    assert pulled.exit_code == 0
    assert Path(pulled.stdout.strip()).read_bytes() == model
    assert "100%" in pulled.stderr
    assert "Ready: qwen3-4b Q4_K_M" in pulled.stderr
    listed = {row["name"]: row for row in value("list")}
    assert listed["qwen3-4b"]["state"] == "ready"
    shown = value("show", "qwen3-4b", "--context", "4096")
    assert isinstance(shown, dict)
    assert shown["dialect"] == "hermes"
    assert shown["quant"] == "F16"
    assert len(shown["sha256"]) == 64
    assert any("Q4_K_M" in note for note in shown["notes"])
    assert value("verify")[0]["verdict"] == "right"
    removed = value("remove", "qwen3-4b")
    assert removed["freed"] == len(model)
    assert run("remove", "qwen3-4b").exit_code == 3


def test_pull_again_offline_says_that_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("pull", "qwen3-4b").exit_code == 0
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    again = run("pull", "qwen3-4b")
    assert again.exit_code == 0
    assert "already" in again.stderr
    assert run("pull", "qwen3-8b").exit_code == 8
    assert run("pull", "mistal").exit_code == 3
    assert run("pull", "starter").exit_code == 2
    assert run("pull", "../x.gguf").exit_code == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("pull", "mistal"), 3, "Did you mean 'mistral-7b'"),
        (("pull", "qwen3-4b:Q2_K"), 3, "It has: Q4_K_M, Q8_0"),
        (("pull", "nobody/nothing"), 3, "nobody/nothing"),
        (("pull", "a/../b"), 2, "not a repository id"),
        (("pull", "trelis-llama-70b"), 6, "buy.stripe.com"),
        (("pull", "starter"), 2, "comes with fclocal"),
        (("show", "nosuch-model"), 3, "fclocal catalog"),
        (("verify", "qwen3-4b"), 3, "not on this machine"),
        (("remove", "starter"), 2, "starter comes with fclocal"),
        (("verify", "starter"), 2, "starter comes with fclocal"),
    ],
)
def test_refusals(words: tuple[str, ...], code: int, said: str) -> None:
    result = run(*words)
    assert result.exit_code == code, result.stderr
    assert said in result.stderr
    assert result.stdout == ""


def test_interrupted_pull_exits_130_and_is_listed_as_unfinished(monkeypatch: pytest.MonkeyPatch, fake: FakeHub) -> None:
    def stop(self: object, progress: object) -> None:
        if getattr(progress, "done", 0) > 1_000_000:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fclocal.cli.progress.ProgressLine.__call__", stop)
        assert run("pull", "qwen3-4b").exit_code == 130
    assert "Unfinished" in run("list").stderr
    rows = value("list")
    assert [row["state"] for row in rows][-1] == "partial"
    assert value("remove", "qwen3-4b")["freed"] > 1_000_000
    assert run("list").stderr == ""


def test_wrong_bytes_are_found_and_repaired(model: bytes) -> None:
    path = Path(run("pull", "qwen3-4b").stdout.strip())
    path.resolve().write_bytes(model[:-1] + b"!")
    found = run("verify", "qwen3-4b")
    assert found.exit_code == 4
    assert "not what they should be" in found.stdout
    assert run("verify", "qwen3-4b", "--repair").exit_code == 0
    assert path.read_bytes() == model


def test_models_of_other_tools_are_removed_only_when_agreed() -> None:
    folder = repo_folder("other/tool-GGUF", root=Store().root).snapshot("e" * 40)
    folder.mkdir(parents=True)
    (folder / "tool.Q8_0.gguf").write_bytes(gguf())
    refused = run("remove", "other/tool-GGUF")
    assert refused.exit_code == 6
    assert "--yes" in refused.stderr
    assert run("remove", "other/tool-GGUF", "--yes").exit_code == 0
    assert not (folder / "tool.Q8_0.gguf").exists()


def test_broken_download_exits_8_and_goes_on_later(fake: FakeHub) -> None:
    fake.fail(NAME, Fault(), Fault(cut=1_000_000), Fault(status=418))
    broken = run("pull", "qwen3-4b")
    assert broken.exit_code == 8
    assert broken.stdout == ""
    assert run("pull", "qwen3-4b").exit_code == 0
    assert fake.gets(NAME)[-1].headers["range"] == "bytes=1000000-"


def test_show_of_what_is_only_in_the_catalog() -> None:
    result = run("show", "trelis-deepseek-33b")
    assert result.exit_code == 0
    assert "fclocal pull trelis-deepseek-33b" in result.stderr
    assert "fclocal import" in run("show", "trelis-deepseek-6.7b").stderr
    shown = value("show", "trelis-deepseek-1.3b")
    assert isinstance(shown, dict)
    assert shown["stop"] == ["<|EOT|>"]


@pytest.mark.skipif(not starter_path().exists(), reason="the starter model is not built yet")
def test_show_of_the_starter_has_plans_and_llamas_own_figures() -> None:
    shown = value("show", "starter", "--context", "1024", "--kv-type", "q8_0")
    assert isinstance(shown, dict)
    assert (shown["dialect"], shown["layout"]) == ("trelis-llama", "one-line")
    plan = shown["plans"][0]
    assert plan["kv"] == pytest.approx(plan["measured"]["kv"], rel=0.01)
    assert run("show", "starter", "--kv-type", "q9").exit_code == 2


def test_hostile_names_are_shown_harmless(fake: FakeHub) -> None:
    folder = repo_folder("other/tool-GGUF", root=Store().root)
    folder.blobs.mkdir(parents=True)
    (folder.blobs / f"{'a' * 64}.x{PART}").write_bytes(b"12345")
    snapshot = folder.snapshot("e" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "evil\x1b]52;c;x\x07.gguf").write_bytes(gguf())
    assert "\x1b" not in run("list").output
    assert "\x1b" not in run("verify").output

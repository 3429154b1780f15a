"""The shipped catalog, and what a user's own file may do to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fclocal import paths
from fclocal.dialects.select import pick
from fclocal.errors import UsageError
from fclocal.models.catalog import DIALECTS, load_catalog
from fclocal.models.names import CatalogName, HubRepo, parse_name
from fclocal.models.quants import quant_of, size_contradicts

SHIPPED = load_catalog(shipped=paths.catalog_file(), own=Path(__file__).with_name("no-such-catalog.toml"))

CARD_MODELS = {
    "Trelis/deepseek-coder-1.3b-instruct-function-calling-v2": "9AQbJubSda9Z8EM00A",
    "Trelis/deepseek-coder-6.7b-instruct-function-calling-v2": "cN27te5tPa9Z6wEdRo",
    "Trelis/deepseek-coder-33b-instruct-function-calling-v2": "9AQ6pabSd81RcV25kT",
    "Trelis/Llama-2-7b-chat-hf-function-calling-v2": None,
    "Trelis/Llama-2-13b-chat-hf-function-calling-v2": "9AQ7te3lHdmbdZ68wz",
    "Trelis/Llama-2-70b-chat-hf-function-calling-v2": "8wMdRC1dzci75sA4gy",
    "Trelis/Mistral-7B-Instruct-v0.1-function-calling-v2": "cN2cNybSdgyncV25kQ",
    "Trelis/CodeLlama-34b-Instruct-hf-function-calling-v2": "cN27teg8t2Hx5sA8wM",
}


def load(tmp_path: Path, text: str) -> object:
    own = tmp_path / "models.toml"
    own.write_text(text)
    return load_catalog(own=own)


def test_every_shipped_entry_is_right() -> None:
    assert SHIPPED.problems == ()
    assert len(SHIPPED.entries) >= 30
    assert len({name for entry in SHIPPED.entries.values() for name in entry.names}) == sum(
        len(entry.names) for entry in SHIPPED.entries.values()
    )


@pytest.mark.parametrize("entry", SHIPPED.entries.values(), ids=lambda entry: entry.id)
def test_every_name_reads_as_itself_and_every_file_as_its_quant(entry: object) -> None:
    for name in entry.names:
        assert parse_name(name) == CatalogName(name)
        assert SHIPPED.find(name.upper()) is entry
    if entry.repo:
        assert parse_name(entry.repo) == HubRepo(entry.repo)
    for file in entry.files:
        assert quant_of(file.name) == file.quant
        assert entry.has_file(file.name)


@pytest.mark.parametrize(("repo", "purchase"), CARD_MODELS.items())
def test_every_model_of_the_card_is_there(repo: str, purchase: str | None) -> None:
    entry = SHIPPED.with_repo(repo)
    assert entry is not None
    assert entry.paid is (purchase is not None)
    assert entry.gated is (purchase is not None)
    if purchase:
        assert str(entry.purchase_url) == f"https://buy.stripe.com/{purchase}"
    assert entry.adapter_repo == repo.replace("function-calling-v2", "function-calling-adapters-v2")
    assert entry.dataset == "Trelis/function_calling_extended"
    assert entry.dialect == ("trelis-deepseek" if "deepseek" in repo else "trelis-llama")


def test_dialects_that_exist_are_those_that_can_be_picked() -> None:
    for name in DIALECTS - {"jinja"}:
        assert pick(name).name == name
    for entry in SHIPPED.entries.values():
        if not entry.dialect_exists:
            with pytest.raises(UsageError):
                pick(entry.dialect)


def test_known_wrong_labels_are_marked() -> None:
    for entry in SHIPPED.entries.values():
        for file in entry.files:
            size = file.size or (file.gigabytes or 0) * 1e9
            if size and entry.parameters:
                found = size_contradicts(file.quant, int(size), entry.parameters * 1e9)
                assert bool(found) == file.wrong_label, file.name


def test_own_file_is_merged_key_by_key(tmp_path: Path) -> None:
    catalog = load(
        tmp_path,
        """
        [models.qwen3-4b]
        title = "Mine"
        [models.house]
        title = "House model"
        repo = "me/house-GGUF"
        pattern = "*.gguf"
        licence = "MIT"
        dialect = "hermes"
        """,
    )
    assert catalog.problems == ()
    assert catalog.entries["qwen3-4b"].title == "Mine"
    assert catalog.entries["qwen3-4b"].repo == "Qwen/Qwen3-4B-GGUF"
    assert catalog.entries["house"].repo == "me/house-GGUF"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('titel = "x"', "did you mean title"),
        ('repo = "../../etc"', "not a repository id"),
        ('revision = "a b"', "not a branch"),
        ("paid = true", "purchase_url"),
        ('files = [{name = "../x.gguf"}]', "stored safely"),
        ('files = [{name = "x.gguf", sha256 = "12"}]', "sha256"),
        ("gated = 7", "gated"),
        ('licence_url = "javascript:alert(1)"', "licence_url"),
        ('dialect = "Not A Word"', "dialect"),
    ],
)
def test_broken_entry_is_named_and_leaves_the_others(tmp_path: Path, lines: str, words: str) -> None:
    base = 'title = "T"\nrepo = "me/x"\npattern = "*"\nlicence = "MIT"\ndialect = "hermes"\n'
    key = lines.split(" ")[0]
    kept = "\n".join(line for line in base.splitlines() if not line.startswith(f"{key} "))
    catalog = load(tmp_path, f"[models.bad]\n{kept}\n{lines}\n[models.good]\n{base}")
    assert "bad" not in catalog.entries
    assert "good" in catalog.entries
    assert len(catalog.problems) == 1
    assert words in catalog.problems[0]
    assert "models.bad" in catalog.problems[0]
    assert str(tmp_path / "models.toml") in catalog.problems[0]


@pytest.mark.parametrize("text", ["[models.x", "models = 3", "[models]\nx = 3"])
def test_broken_file_leaves_the_shipped_catalog(tmp_path: Path, text: str) -> None:
    catalog = load(tmp_path, text)
    assert len(catalog.problems) == 1
    assert catalog.entries.keys() == SHIPPED.entries.keys()


def test_near_misses_and_search() -> None:
    assert SHIPPED.near("mistal") == "mistral-7b"
    assert SHIPPED.near("starer") == "starter"
    assert SHIPPED.near("zzzzzzzz") is None
    assert {entry.id for entry in SHIPPED.search("deepseek paid")} == {
        "trelis-deepseek-1.3b",
        "trelis-deepseek-6.7b",
        "trelis-deepseek-33b",
    }

"""`fclocal import`, as users type it: folders, repositories, catalog names and adapters, and what loads afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from fclocal.cli.app import build
from fclocal.models.store import Store
from fclocal.runtime import Options
from tests.fake_hub import FakeHub
from tests.models.checkpoints import LLAMA, make_checkpoint, write_checkpoint
from tests.models.test_adapter import PLAIN, pairs, write_peft
from tests.server.conftest import running

REPO = "Trelis/deepseek-coder-6.7b-instruct-function-calling-v2"


@pytest.fixture(autouse=True)
def hub_here(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", fake.endpoint)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_checkpoint(make_checkpoint(LLAMA), tmp_path / "small-llama", shards=2)


def run(*words: str) -> Result:
    return CliRunner().invoke(build(words[0]), list(words), prog_name="fclocal")


def value(*words: str) -> dict[str, object]:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("\n") == 1
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def choosing(folder: Path) -> tuple[str, ...]:
    """Options that offer one function whose every call is short, whatever the weights."""
    letters = {"type": "string", "enum": ["a", "b", "c", "d"]}
    schema = {"type": "object", "properties": {"letter": letters}, "required": ["letter"]}
    tool = {"type": "function", "function": {"name": "choose", "description": "Choose.", "parameters": schema}}
    path = folder / "choose.json"
    path.write_text(json.dumps([tool]))
    return ("--functions", str(path), "--builtin", "none", "--choice", "required")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_becomes_a_model_that_answers(folder: Path, tmp_path: Path) -> None:
    dry = value("import", str(folder), "--quant", "F16", "--dry-run")
    assert (dry["kind"], dry["quant"], dry["path"]) == ("model", "F16", None)
    assert Store().installed() == ()
    made = run("import", str(folder), "--quant", "Q8_0", "--dialect", "hermes")
    assert made.exit_code == 0, made.stderr
    assert "quantizing" in made.stderr
    assert "--model small-llama" in made.stderr
    path = Path(made.stdout.strip())
    before = path.stat().st_mtime_ns
    shown = value("show", "small-llama")
    assert (shown["quant"], shown["dialect"]) == ("Q8_0", "hermes")
    called = run("call", "1 + 1?", "--model", "small-llama", *choosing(tmp_path))
    assert json.loads(called.stdout)["function"] == "choose", called.stderr
    again = run("import", str(folder), "--quant", "q8_0")
    assert "--force" in again.stderr
    assert path.stat().st_mtime_ns == before


def test_an_adapter_loads_on_its_base(folder: Path, tmp_path: Path) -> None:
    base = value("import", str(folder), "--quant", "F16")
    made = make_checkpoint(LLAMA)
    lora = write_peft(tmp_path / "my-lora", PLAIN | {"base_model_name_or_path": str(folder)}, pairs(made, seed=5))
    imported = value("import", str(lora))
    assert (imported["kind"], imported["name"]) == ("adapter", "my-lora")
    words = ("call", "Say it", "--model", str(base["path"]), *choosing(tmp_path))
    plain, by_name, by_path = (
        run(*words, "--json", *more) for more in ((), ("--adapter", "my-lora"), ("--adapter", str(imported["path"])))
    )
    assert by_name.exit_code == 0, by_name.stderr
    outputs = [json.loads(one.stdout) for one in (plain, by_name, by_path)]
    assert outputs[1]["arguments"] == outputs[2]["arguments"]
    assert outputs[0] != outputs[1]
    missing = run(*words, "--adapter", "nosuch")
    assert missing.exit_code == 3
    assert "my-lora" in missing.stderr


def test_an_adapter_is_listed_and_removed(folder: Path, tmp_path: Path) -> None:
    config = PLAIN | {"base_model_name_or_path": str(folder)}
    lora = write_peft(tmp_path / "my-lora", config, pairs(make_checkpoint(LLAMA), seed=5))
    path = Path(str(value("import", str(lora))["path"]))
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert rows["my-lora"]["kind"] == "adapter" and rows["my-lora"]["size"] == path.stat().st_size
    assert rows["starter"]["kind"] == "model"
    assert "my-lora" in run("list").stdout
    removed = value("remove", "my-lora")
    assert removed == {"removed": [str(path)], "freed": rows["my-lora"]["size"]}
    assert not path.exists() and "my-lora" not in run("list").stdout
    assert run("remove", "my-lora").exit_code == 3


def test_an_adapter_is_served(folder: Path, tmp_path: Path) -> None:
    base = value("import", str(folder), "--quant", "F16")
    weights = pairs(make_checkpoint(LLAMA), seed=5)
    value("import", str(write_peft(tmp_path / "my-lora", PLAIN | {"base_model_name_or_path": str(folder)}, weights)))
    body = {"prompt": "Once", "max_tokens": 16, "temperature": 0, "logprobs": 1}
    answers = []
    for adapters in ((), (Path("my-lora"),)):
        options = Options(model=str(base["path"]), adapters=adapters, builtin=("none",), context=128)
        with running(options=options) as server:
            answer = httpx.post(f"{server.url}/v1/completions", json=body, timeout=60)
        assert answer.is_success, answer.text
        answers.append(answer.json()["choices"][0]["logprobs"]["token_logprobs"])
    assert answers[0] != answers[1]


def test_a_catalog_name_is_fetched_and_keeps_its_dialect(folder: Path, fake: FakeHub) -> None:
    fake.add(REPO).files |= files(folder) | {"README.md": b"x" * 1000, "consolidated.safetensors": b"y" * 1000}
    dry = value("import", "trelis-deepseek-6.7b", "--dry-run")
    assert dry["size"] == sum(path.stat().st_size for path in folder.iterdir())
    made = value("import", "trelis-deepseek-6.7b", "--quant", "F16")
    assert not fake.gets("consolidated.safetensors") and not fake.gets("README.md")
    shown = value("show", "trelis-deepseek-6.7b")
    assert shown["dialect"] == "trelis-deepseek"
    assert Path(str(made["path"])).name == "trelis-deepseek-6.7b-F16.gguf"


def test_an_adapter_repository_asks_only_for_the_config_of_its_base(
    folder: Path, fake: FakeHub, tmp_path: Path
) -> None:
    lora = write_peft(tmp_path / "l", PLAIN | {"base_model_name_or_path": "me/base"}, pairs(make_checkpoint(LLAMA)))
    fake.add("me/lora").files |= files(lora)
    fake.add("me/base").files |= files(folder)
    imported = value("import", "me/lora")
    assert imported["kind"] == "adapter"
    assert not fake.gets("model-00001-of-00002.safetensors")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nosuchmodel",), 3, "nosuchmodel"),
        (("./nosuch/folder",), 3, "nosuch/folder"),
        (("starter",), 2, "built in"),
        (("me/none",), 3, "me/none"),
        (("me/pickle",), 6, "pickle"),
        (("me/gguf",), 3, "fclocal pull me/gguf"),
        (("me/gguf:Q4_K_M",), 2, "imported whole"),
        (("../../etc/x@..:y",), 3, ""),
        (("FOLDER", "--quant", "Q9"), 2, "Q9"),
        (("FOLDER", "--name", "starter"), 2, "built-in"),
        (("FOLDER", "--dialect", "klingon"), 2, "klingon"),
        (("FOLDER/config.json",), 2, "is a file"),
        (("FOLDER", "--name", "///"), 2, "--name"),
    ],
)
def test_bad_words(words: tuple[str, ...], code: int, said: str, folder: Path, fake: FakeHub) -> None:
    fake.add("me/pickle").files |= {"config.json": b"{}", "pytorch_model.bin": b"\x80"}
    fake.add("me/gguf").files |= {"x.Q4_K_M.gguf": b"GGUF"}
    result = run("import", *(word.replace("FOLDER", str(folder)) for word in words))
    assert result.exit_code == code, result.stderr
    assert said in result.stderr
    assert result.stdout == ""
    assert not any(path.is_file() for path in Store().own_folder.rglob("*"))


def test_gated_weights_are_explained(folder: Path, fake: FakeHub) -> None:
    repo = fake.add(REPO)
    repo.files |= files(folder)
    repo.gated, repo.readable = "manual", False
    result = run("import", REPO)
    assert result.exit_code == 6
    assert "licence" in result.stderr.lower()

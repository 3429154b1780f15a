"""What users type, and what it means on this machine."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fclocal.errors import FclocalError, ModelBroken, ModelMissing, UsageError
from fclocal.models.cache import repo_folder
from fclocal.models.catalog import load_catalog
from fclocal.models.names import CatalogName, HubRepo, LocalFile, parse_name, resolve
from fclocal.models.safe_names import check_file, check_repo
from fclocal.models.store import Store
from tests.gguf_bytes import LLAMA, gguf

COMMIT = "d" * 40


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("starter", CatalogName("starter")),
        ("qwen3-4b:Q4_K_M", CatalogName("qwen3-4b", "Q4_K_M")),
        ("Qwen/Qwen3-4B-GGUF", HubRepo("Qwen/Qwen3-4B-GGUF")),
        ("Qwen/Qwen3-4B-GGUF:q8_0", HubRepo("Qwen/Qwen3-4B-GGUF", None, "q8_0")),
        ("a/b@gguf:x.Q4_K.gguf", HubRepo("a/b", "gguf", "x.Q4_K.gguf")),
        ("a/b@gguf", HubRepo("a/b", "gguf")),
        ("hf.co/a/b:Q4_0", HubRepo("a/b", None, "Q4_0")),
        ("https://huggingface.co/a/b", HubRepo("a/b")),
        ("https://huggingface.co/a/b/blob/main/q/x.gguf", HubRepo("a/b", "main", "q/x.gguf")),
        ("https://huggingface.co/a/b/resolve/v1/x.gguf?download=true", HubRepo("a/b", "v1", "x.gguf")),
        ("https://huggingface.co/a/b/tree/gguf", HubRepo("a/b", "gguf")),
        ("./x.gguf", LocalFile(Path("x.gguf"))),
        ("x.gguf", LocalFile(Path("x.gguf"))),
        ("/m/x", LocalFile(Path("/m/x"))),
        (r"C:\m\x.gguf", LocalFile(Path(r"C:\m\x.gguf"))),
        (r"C:\m\x.gguf:Q8_0", LocalFile(Path(r"C:\m\x.gguf"), "Q8_0")),
        ("./x.gguf:UD-Q4_K_XL", LocalFile(Path("x.gguf"), "UD-Q4_K_XL")),
        ("x.gguf:q8_0", LocalFile(Path("x.gguf"), "q8_0")),
        ("/m/x:Q8_0", LocalFile(Path("/m/x"), "Q8_0")),
        ("./x:y.gguf", LocalFile(Path("x:y.gguf"))),
    ],
)
def test_names(text: str, meaning: object) -> None:
    assert parse_name(text) == meaning


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "a/../b",
        "a/b/c",
        "a/b@../x",
        "a/b:../../x.gguf",
        "a/b:x\x00.gguf",
        "a--b/c",
        "a/b..c",
        "a/b.git",
        "name:../x",
        "na me",
        "http://evil.test/x.gguf",
        "https://hf.co.evil.test/a/b",
        "a/" + "b" * 300,
        "x" * 5000,
        "a/b:CON",
        "a/b:nul.gguf",
        "org/name:\\\\server\\x",
    ],
)
def test_names_that_cannot_be(text: str) -> None:
    with pytest.raises(FclocalError) as caught:
        resolve(text, load_catalog(), Store())
    assert isinstance(caught.value, UsageError | ModelMissing)


@given(st.text(max_size=60) | st.text(alphabet="~/.:@\\abC\x00", max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_name(text)
    except UsageError:
        return
    if isinstance(found, HubRepo):
        assert check_repo(found.repo) == found.repo
        assert found.tag is None or check_file(found.tag) == found.tag


@given(st.text(alphabet="./\\ab:\x00*CONnul", max_size=20))
def test_safe_files_stay_inside(name: str) -> None:
    try:
        check_file(name)
    except ValueError:
        return
    inside = (Path("/base") / name).resolve()
    assert inside.is_relative_to("/base")
    assert inside != Path("/base")


def install(store: Store, repo: str, name: str, data: bytes, *, commit: str = COMMIT) -> Path:
    folder = repo_folder(repo, root=store.root)
    path = folder.snapshot(commit) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    folder.refs.mkdir(exist_ok=True)
    (folder.refs / "main").write_text(commit)
    return path


def test_installed_models_by_every_name(store: Store) -> None:
    catalog = load_catalog()
    four = install(store, "Qwen/Qwen3-4B-GGUF", "Qwen3-4B-Q4_K_M.gguf", gguf())
    eight = install(store, "Qwen/Qwen3-4B-GGUF", "Qwen3-4B-Q8_0.gguf", gguf(fill=b"x" * 9))
    for name in ("qwen3-4b", "qwen3-4b:q4_k_m", "Qwen/Qwen3-4B-GGUF", "Qwen/Qwen3-4B-GGUF@main:Qwen3-4B-Q4_K_M.gguf"):
        assert resolve(name, catalog, store).path == four
    found = resolve("hf.co/Qwen/Qwen3-4B-GGUF:Q8_0", catalog, store)
    assert found.path == eight
    assert (found.dialect, found.stop) == ("hermes", ("<|im_end|>",))
    with pytest.raises(ModelMissing, match="It has"):
        resolve("qwen3-4b:Q2_K", catalog, store)


def test_missing_models_say_how_to_get_them(store: Store) -> None:
    catalog = load_catalog()
    with pytest.raises(ModelMissing, match="fclocal pull qwen3-4b:Q8_0"):
        resolve("qwen3-4b:Q8_0", catalog, store)
    with pytest.raises(ModelMissing, match="Did you mean 'mistral-7b'"):
        resolve("mistal", catalog, store)
    with pytest.raises(ModelMissing, match="no file"):
        resolve("./nothing.gguf", catalog, store)


def test_a_file_here_that_is_named_like_a_model_is_hinted_at(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.bin").touch()
    with pytest.raises(ModelMissing, match=r"\./model\.bin"):
        resolve("model.bin", load_catalog(), store)


def test_local_file_names_its_own_dialect(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(gguf(dict(LLAMA) | {"fclocal.dialect": "trelis-llama", "fclocal.layout": "one-line"}))
    found = resolve(str(path), load_catalog(), store)
    assert (found.dialect, found.layout, found.name) == ("trelis-llama", "one-line", "mine")
    assert found.chat_template == "{{ messages }}"
    path.write_bytes(gguf(dict(LLAMA) | {"fclocal.layout": "sideways"}))
    assert resolve(str(path), load_catalog(), store).layout is None


def test_folder_with_one_model(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(UsageError, match="no GGUF"):
        resolve(str(folder), load_catalog(), store)
    (folder / "a.gguf").write_bytes(gguf())
    assert resolve(str(folder), load_catalog(), store).path == folder / "a.gguf"
    (folder / "b.gguf").write_bytes(gguf())
    with pytest.raises(UsageError, match=r"a\.gguf, b\.gguf"):
        resolve(str(folder), load_catalog(), store)


def test_path_with_a_quantization(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    catalog, q8 = load_catalog(), {"blk.0.attn_q.weight": ((64, 64), 8)}
    (tmp_path / "a.gguf").write_bytes(gguf())
    assert resolve("a.gguf:f16", catalog, store).path == Path("a.gguf")
    with pytest.raises(ModelMissing, match=r"a\.gguf has no quantization 'Q4_K_M'\. It has: F16\.") as caught:
        resolve("./a.gguf:Q4_K_M", catalog, store)
    assert caught.value.exit_code == 3
    (tmp_path / "b.gguf").write_bytes(gguf(tensors=q8))
    assert resolve("./:Q8_0", catalog, store).path == Path("b.gguf")
    with pytest.raises(ModelMissing, match=r"It has: F16, Q8_0\."):
        resolve(f"{tmp_path}:Q4_K_M", catalog, store)
    (tmp_path / "c.gguf").write_bytes(gguf(tensors=q8))
    with pytest.raises(UsageError, match=r"2 GGUF models of Q8_0\. Name one of: b\.gguf, c\.gguf\."):
        resolve(f"{tmp_path}:Q8_0", catalog, store)


def test_a_file_with_a_colon_in_its_name(tmp_path: Path, store: Store) -> None:
    (tmp_path / "model").write_bytes(gguf())
    (tmp_path / "model:v2").write_bytes(gguf())
    assert resolve(f"{tmp_path}/model:v2", load_catalog(), store).path == tmp_path / "model:v2"


def shard(number: int, count: int, tensors: dict[str, object]) -> bytes:
    metadata = dict(LLAMA) | {"split.count": count, "split.no": number}
    return gguf(metadata if number == 0 else {"split.count": count, "split.no": number}, tensors)


def test_shards_are_joined(tmp_path: Path, store: Store) -> None:
    names = [tmp_path / f"m-Q8_0-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    for number, tensors in enumerate([{}, {"a": ((64, 8), 8)}, {"b": ((64, 4), 8)}]):
        names[number].write_bytes(shard(number, 3, tensors))
    found = resolve(str(names[0]), load_catalog(), store)
    assert found.header.parameters == 64 * 12
    assert found.shards == tuple(names)
    with pytest.raises(ModelMissing, match="part 2 of 3"):
        resolve(str(names[1]), load_catalog(), store)
    names[2].unlink()
    with pytest.raises(ModelMissing, match="lacks 1"):
        resolve(str(names[0]), load_catalog(), store)


def test_broken_files_are_named(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "page.gguf"
    path.write_text("<!doctype html>" * 10)
    for text in (str(path), f"{path}:Q8_0"):
        with pytest.raises(ModelBroken, match="web page"):
            resolve(text, load_catalog(), store)


def test_old_files_get_their_missing_splitter(tmp_path: Path, store: Store) -> None:
    tokens = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.bos_token_id": 32013, "general.name": "deepseek-coder"}
    path = tmp_path / "old.Q4_0.gguf"
    path.write_bytes(gguf(dict(LLAMA) | tokens))
    found = resolve(str(path), load_catalog(), store)
    assert found.overrides == {"tokenizer.ggml.pre": "deepseek-coder"}
    assert any("tokenizer.ggml.pre" in note for note in found.notes)
    path.write_bytes(gguf(dict(LLAMA) | tokens | {"tokenizer.ggml.pre": "deepseek-coder"}))
    assert resolve(str(path), load_catalog(), store).overrides == {}


def test_unreadable_bytes_never_escape_as_other_errors(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + b"\xff" * 100)
    with pytest.raises(ModelBroken):
        resolve(str(path), load_catalog(), store)

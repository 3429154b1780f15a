"""The low-level binding on a tiny real model."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fclocal.errors import ModelBroken, ModelMissing, OutOfMemory
from fclocal.native import binding
from fclocal.native.binding import LoadCancelled, Model
from fclocal.native.context import Batch, Context, Decode, default_threads
from fclocal.native.devices import devices
from tests.tiny_model import write_tiny_model

VOCABULARIES = Path(__file__).parents[3] / "shared" / "vocabs"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture
def model(path: Path) -> Iterator[Model]:
    with Model.load(path) as model:
        yield model


@pytest.fixture
def context(model: Model) -> Iterator[Context]:
    with Context(model, size=512, sequences=3, batch=256, micro_batch=64) as context:
        yield context


def decode(context: Context, tokens: list[int], *, sequence: int = 0, position: int = 0) -> np.ndarray:
    """A copy of the logits after `tokens`."""
    batch = Batch(context.batch_size)
    row = batch.add(tokens, sequence=sequence, position=position, output=True)
    assert context.decode(batch) is Decode.DONE
    return context.logits(row).copy()


def test_facts(model: Model) -> None:
    assert (model.layers, model.trained_context) == (2, 2048)
    assert model.parameters == sum(tensor.elements for tensor in model.header.tensors)
    assert model.size == model.header.weight_bytes
    assert not model.keeps_state
    vocabulary = model.vocabulary
    assert (vocabulary.bos, vocabulary.eos, vocabulary.add_bos) == (1, 2, True)
    assert vocabulary.end_tokens == {2}
    assert [token for token in range(vocabulary.size) if vocabulary.is_special(token)] == [0, 1, 2, 3]


def test_logits_follow_their_row(context: Context) -> None:
    batch = Batch(256)
    first = batch.add([5, 6, 7], sequence=0, position=0, output=True)
    second = batch.add([9, 10], sequence=1, position=0, output=True)
    assert context.decode(batch) is Decode.DONE
    one, two = context.logits(first).copy(), context.logits(second).copy()
    assert one.dtype == np.float32
    assert one.shape == (324,)
    context.cut(0, 0)
    context.cut(1, 0)
    assert np.allclose(one, decode(context, [5, 6, 7]), atol=1e-3)
    assert np.allclose(two, decode(context, [9, 10], sequence=1), atol=1e-3)


def test_memory_is_cut_and_shared(context: Context) -> None:
    whole = decode(context, [5, 6, 7, 8])
    assert context.length(0) == 4
    assert context.cut(0, 2)
    assert context.length(0) == 2
    assert np.allclose(decode(context, [7, 8], position=2), whole, atol=1e-3)
    context.copy(0, 2, 2)
    assert context.length(2) == 2
    assert np.allclose(decode(context, [7, 8], sequence=2, position=2), whole, atol=1e-3)


def test_a_state_is_saved_and_restored(context: Context) -> None:
    decode(context, [5, 6, 7])
    state = context.save(0)
    expected = decode(context, [8], position=3)
    assert context.restore(1, state)
    assert context.length(1) == 3
    assert np.allclose(decode(context, [8], sequence=1, position=3), expected, atol=1e-5)
    assert not context.restore(2, state[:-5])
    assert context.length(2) == 0


def test_a_decode_can_be_aborted(context: Context) -> None:
    batch = Batch(256)
    batch.add([5] * 200, sequence=0, position=0, output=True)
    context.abort(True)
    assert context.decode(batch) is Decode.ABORTED
    assert context.length(0) == 0
    context.abort(False)
    assert context.decode(batch) is Decode.DONE
    assert context.length(0) == 200


def test_a_full_memory_is_said_and_changes_nothing(context: Context) -> None:
    decode(context, [5] * 256)
    decode(context, [5] * 256, position=256)
    batch = Batch(256)
    batch.add([5] * 10, sequence=1, position=0, output=True)
    assert context.decode(batch) is Decode.NO_ROOM
    assert (context.length(0), context.length(1)) == (512, 0)


def test_an_impossible_batch_is_an_error(context: Context) -> None:
    batch = Batch(256)
    batch.add([100_000], sequence=0, position=0, output=True)
    with pytest.raises(RuntimeError):
        context.decode(batch)


def test_loading_is_cancelled_by_its_progress(path: Path) -> None:
    with pytest.raises(LoadCancelled):
        Model.load(path, progress=lambda done: False)


def test_metadata_can_be_overridden(path: Path) -> None:
    overrides = {"llama.context_length": 77, "tokenizer.ggml.add_bos_token": False}
    with Model.load(path, overrides=overrides) as model:
        assert model.trained_context == 77
        assert not model.vocabulary.add_bos


def test_files_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="no file"):
        Model.load(tmp_path / "none.gguf")
    (tmp_path / "text.gguf").write_text("not a model")
    with pytest.raises(ModelBroken, match=r"text\.gguf"):
        Model.load(tmp_path / "text.gguf")


@pytest.mark.skipif(not VOCABULARIES.exists(), reason="the vocabulary files are not here")
@pytest.mark.parametrize("name", ["deepseek-coder", "llama-spm", "qwen2"])
def test_a_vocabulary_is_no_model(name: str) -> None:
    with pytest.raises(ModelBroken, match="without weights"):
        Model.load(VOCABULARIES / f"ggml-vocab-{name}.gguf")


def test_a_context_beyond_all_memory_is_refused(model: Model) -> None:
    with pytest.raises(OutOfMemory, match="2,000,000,000"):
        Context(model, size=2_000_000_000)


@pytest.mark.skipif(not VOCABULARIES.exists(), reason="the vocabulary files are not here")
def test_another_vocabulary_gives_every_text_back(tmp_path: Path) -> None:
    source = VOCABULARIES / "ggml-vocab-deepseek-coder.gguf"
    with Model.load(write_tiny_model(tmp_path / "deepseek.gguf", vocab_from=source)) as model:
        for text in ("", "\0", "def f(x):\n\treturn x", "日本語 😀", '{"a": [1, 2.5]}', "  spaces  "):
            tokens = model.vocabulary.tokenize(text, special=False)
            assert b"".join(map(model.vocabulary.piece, tokens)).decode() == text


def test_devices_have_names_and_memory() -> None:
    found = devices()
    assert any(device.kind == "cpu" for device in found)
    assert all(device.name and 0 <= device.free <= device.total for device in found)
    assert binding.version()
    assert "=" in binding.system_info()


def test_small_models_use_one_thread() -> None:
    assert default_threads(10 << 20) == 1
    assert default_threads(4 << 30) >= 1


def test_nothing_is_written_to_the_terminal(path: Path, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from fclocal.native.binding import Model\n"
        "from fclocal.native.context import Context\n"
        f"with Model.load(Path({str(path)!r})) as model, Context(model, size=256): pass\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={"FCLOCAL_CACHE": str(tmp_path), "PATH": ""},
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    log = tmp_path / "llama.log"
    assert "llama" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0

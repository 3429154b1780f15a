"""Checkpoints become GGUF files that compute what the checkpoint computes; what cannot is refused with its reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fclocal.errors import DiskError, FclocalError, ModelBroken, ModelMissing, Refused, UsageError
from fclocal.models import convert as convert_module
from fclocal.models.checkpoint import read_config
from fclocal.models.convert import Origin, convert, dry_size, plan_conversion
from fclocal.models.names import source_from_file
from fclocal.models.progress import Progress
from fclocal.models.store import Store
from fclocal.native.binding import Model
from fclocal.native.gguf import read_header
from fclocal.native.quantize import check_label
from tests.models.checkpoints import (
    FAMILIES,
    LLAMA,
    forward,
    logits,
    make_checkpoint,
    rounded,
    write_checkpoint,
    write_safetensors,
)

TOKENS = [1, 270, 263, 9, 299, 275, 260, 261, 262, 40, 41, 42]
WIDE = LLAMA | {"hidden_size": 256, "intermediate_size": 256, "num_attention_heads": 2, "num_key_value_heads": 2}


def quiet(_progress: Progress) -> None:
    pass


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_the_checkpoint(family: str, tmp_path: Path, store: Store) -> None:
    made = make_checkpoint(FAMILIES[family])
    folder = write_checkpoint(made, tmp_path / family)
    path = convert(plan_conversion(folder, store, name=family, quant="F32"), store, quiet)
    with Model.load(path) as model:
        np.testing.assert_allclose(logits(model, TOKENS), forward(made, TOKENS), atol=1e-3)


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
def test_every_stored_type_and_shards(dtype: str, tmp_path: Path, store: Store) -> None:
    made = make_checkpoint(LLAMA | {"head_dim": 32, "num_key_value_heads": 2})
    made.weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.zeros(16, np.float32)
    folder = write_checkpoint(made, tmp_path / "m", dtype=dtype, shards=3)
    plan = plan_conversion(folder, store, name="m", quant="F32")
    assert plan.stored == dtype
    with Model.load(convert(plan, store, quiet)) as model:
        np.testing.assert_allclose(logits(model, TOKENS), forward(rounded(made, dtype), TOKENS), atol=1e-3)


def test_floats_are_kept_or_rounded_to_the_nearest(tmp_path: Path, store: Store) -> None:
    made = make_checkpoint(LLAMA)
    folder = write_checkpoint(made, tmp_path / "m")
    values = made.weights["lm_head.weight"]
    for quant, dtype, step in (("F16", np.float16, 2**-11), ("BF16", np.uint16, 2**-8)):
        path = convert(plan_conversion(folder, store, name="m", quant=quant), store, quiet)
        header = read_header(path)
        tensor = next(tensor for tensor in header.tensors if tensor.name == "output.weight")
        raw = np.fromfile(path, dtype, count=values.size, offset=header.data_offset + tensor.offset)
        read = raw.astype(np.float32) if quant == "F16" else (raw.astype(np.uint32) << 16).view(np.float32)
        np.testing.assert_allclose(read.reshape(values.shape), values, rtol=step, atol=1e-7)


def test_quantized_as_told_and_named_in_the_store(tmp_path: Path, store: Store) -> None:
    made = make_checkpoint(WIDE)
    folder = write_checkpoint(made, tmp_path / "m", dtype="BF16")
    origin = Origin(repo="me/m", licence="mit", dialect="trelis-llama", layout="one-line", stop=("<|EOT|>",))
    plan = plan_conversion(folder, store, name="mine", quant="q8_0", origin=origin)
    planned = dry_size(plan, store)
    assert store.installed() == ()
    seen: list[Progress] = []
    path = convert(plan, store, seen.append)
    assert abs(path.stat().st_size - planned) < 20_000
    assert list(dict.fromkeys(one.phase for one in seen)) == ["converting", "quantizing", "checking"]
    assert all(0 <= one.done <= one.total for one in seen)
    (model,) = store.installed()
    assert (model.name, model.quant, model.path, bool(model.verified)) == ("mine", "Q8_0", path, True)
    assert list(path.parent.iterdir()) == [path]
    source = source_from_file(path)
    assert (source.dialect, source.layout, source.stop) == ("trelis-llama", "one-line", ("<|EOT|>",))
    with Model.load(path) as loaded:
        far = np.abs(logits(loaded, TOKENS) - forward(rounded(made, "BF16"), TOKENS)).max()
    assert 0 < far < 0.3


def test_labels_are_those_of_llama_cpp() -> None:
    assert check_label("q4_k_m") == "Q4_K_M"
    with pytest.raises(UsageError, match="Did you mean Q4_K_"):
        check_label("Q4_K_N")


def test_a_type_that_needs_an_importance_matrix_is_refused(tmp_path: Path, store: Store) -> None:
    folder = write_checkpoint(make_checkpoint(WIDE), tmp_path / "m")
    with pytest.raises(UsageError, match="importance matrix"):
        convert(plan_conversion(folder, store, name="m", quant="IQ2_XXS"), store, quiet)
    assert not (store.own_folder / "m").exists()


def test_nothing_is_left_of_an_import_that_was_stopped(tmp_path: Path, store: Store) -> None:
    folder = write_checkpoint(make_checkpoint(LLAMA), tmp_path / "m")
    plan = plan_conversion(folder, store, name="m", quant="Q8_0")

    def stop(progress: Progress) -> None:
        if progress.phase == "quantizing":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(plan, store, stop)
    assert not any(path.is_file() for path in store.own_folder.rglob("*"))
    left = store.own_folder / "m" / "m-Q8_0.gguf.dead.1.fclocal.part"
    left.parent.mkdir()
    left.write_bytes(b"killed")
    convert(plan, store, quiet)
    assert not left.exists()


def test_disk_is_checked_before_the_first_weight(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_checkpoint(make_checkpoint(LLAMA), tmp_path / "m")
    plan = plan_conversion(folder, store, name="m", quant="Q8_0")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=500_000))
    seen: list[Progress] = []
    with pytest.raises(DiskError, match="GB free"):
        convert(plan, store, seen.append)
    assert seen == []
    assert not any(path.is_file() for path in store.own_folder.rglob("*"))


def test_a_full_disk_is_a_sentence(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_checkpoint(make_checkpoint(LLAMA), tmp_path / "m")
    plan = plan_conversion(folder, store, name="m", quant="F16")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(convert_module, "_write_weights", full)
    with pytest.raises(DiskError, match="No space left"):
        convert(plan, store, quiet)
    assert not any(path.is_file() for path in store.own_folder.rglob("*"))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}, UsageError, "Qwen2ForCausalLM"),
        ({"architectures": ["MixtralForCausalLM"], "model_type": "mixtral"}, UsageError, "Mixtral"),
        ({"quantization_config": {"quant_method": "gptq"}}, UsageError, "gptq"),
        ({"attention_bias": True}, UsageError, "bias"),
        ({"hidden_act": "gelu"}, UsageError, "gelu"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, UsageError, "dynamic"),
        ({"num_key_value_heads": 3}, ModelBroken, "heads"),
        ({"hidden_size": 0}, ModelBroken, "hidden_size"),
        ({"hidden_size": "x"}, ModelBroken, "hidden_size"),
        ({"rms_norm_eps": 5}, ModelBroken, "rms_norm_eps"),
        ({"vocab_size": 301}, ModelBroken, r"\[300, 64\].*\[301, 64\]"),
        ({"num_hidden_layers": 3}, ModelBroken, "model.layers.2"),
        ({"num_hidden_layers": 1}, ModelBroken, "no place for: model.layers.1"),
        ({"intermediate_size": 97}, ModelBroken, "mlp"),
    ],
)
def test_configs_that_cannot_be_right_are_refused(
    change: dict[str, object], error: type[FclocalError], words: str, tmp_path: Path, store: Store
) -> None:
    folder = write_checkpoint(make_checkpoint(LLAMA), tmp_path / "m")
    (folder / "config.json").write_text(json.dumps(LLAMA | change))
    with pytest.raises(error, match=words):
        plan_conversion(folder, store, name="m", quant="F16")


def test_a_foreign_config_names_the_kind(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert", "hidden_size": 3}')
    with pytest.raises(UsageError, match="bert"):
        read_config(tmp_path)


def _lfs_pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n")


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _integers(folder: Path) -> None:
    made = make_checkpoint(LLAMA)
    write_safetensors(folder / "model.safetensors", made.weights | {"model.layers.0.mlp.up_proj.g_idx": np.zeros(3)})


def _outside(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../model.safetensors"}}')


def _shard_missing(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-00001-of-00002.safetensors"}}')


def _header(text: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(64))

    return write


@pytest.mark.parametrize(
    ("break_it", "error", "words"),
    [
        (_lfs_pointer, ModelBroken, "Git LFS pointer"),
        (_cut, ModelBroken, "ends before"),
        (_pickle, Refused, "pickle"),
        (_integers, ModelBroken, "g_idx"),
        (_outside, ModelBroken, "index"),
        (_shard_missing, ModelMissing, "model-00001-of-00002"),
        (_header(b"[]"), ModelBroken, "header"),
        (_header(b'{"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}}'), ModelBroken, "shape"),
        (_header(b'{"a": {"dtype": "F32", "shape": [-1, -1], "data_offsets": [0, 4]}}'), ModelBroken, "shape"),
        (_header(b'{"a": {"dtype": "Z9", "shape": [1], "data_offsets": [0, 4]}}'), ModelBroken, "Z9"),
        (_header(b'{"a": {"dtype": "F32", "shape": [99999999], "data_offsets": [0, 399999996]}}'), ModelBroken, "ends"),
        (_header(b"[" * 100_000), ModelBroken, "header"),
        (lambda folder: (folder / "tokenizer.model").unlink(), ModelMissing, "tokenizer"),
        (lambda folder: (folder / "config.json").unlink(), ModelMissing, "config.json"),
    ],
)
def test_broken_files_are_refused(
    break_it: Callable[[Path], object], error: type[FclocalError], words: str, tmp_path: Path, store: Store
) -> None:
    folder = write_checkpoint(make_checkpoint(LLAMA), tmp_path / "m")
    break_it(folder)
    with pytest.raises(error, match=words):
        plan_conversion(folder, store, name="m", quant="F16")


def test_values_that_f16_cannot_hold_are_said(tmp_path: Path, store: Store) -> None:
    made = make_checkpoint(LLAMA)
    made.weights["model.layers.1.mlp.up_proj.weight"][3, 4] = 1e6
    folder = write_checkpoint(made, tmp_path / "m")
    with pytest.raises(ModelBroken, match=r"mlp\.up_proj.*BF16"):
        convert(plan_conversion(folder, store, name="m", quant="F16"), store, quiet)

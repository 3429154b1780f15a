"""Imported LoRA adapters do to a model what PEFT's formula says; what they cannot hold is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from fclocal.errors import FclocalError, ModelBroken, ModelMissing, Refused, UsageError
from fclocal.models.adapter import Base, base_of_config, base_of_header, plan_adapter, write_adapter
from fclocal.models.adapter_files import find_adapter
from fclocal.models.checkpoint import read_config
from fclocal.models.convert import convert, plan_conversion
from fclocal.models.store import Store
from fclocal.native.binding import Model
from fclocal.native.gguf import read_header
from tests.models.checkpoints import (
    MISTRAL,
    Checkpoint,
    Floats,
    forward,
    logits,
    make_checkpoint,
    write_checkpoint,
    write_safetensors,
)

TOKENS = [1, 270, 263, 9, 299, 275, 260]
Q, K = "model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.k_proj"
DOWN, HEAD = "model.layers.1.mlp.down_proj", "lm_head"
PLAIN: dict[str, object] = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none", "target_modules": ["q_proj"]}


def pairs(made: Checkpoint, *, ranks: dict[str, int] | None = None, seed: int = 3) -> dict[str, tuple[Floats, Floats]]:
    """Random A and B for some modules; rank 4 unless `ranks` says otherwise."""
    random = np.random.default_rng(seed)
    found = {}
    for module in (Q, K, DOWN, HEAD):
        rows, columns = made.weights[f"{module}.weight"].shape
        rank = (ranks or {}).get(module, 4)
        a = random.standard_normal((rank, columns)).astype(np.float32) * 0.3
        b = random.standard_normal((rows, rank)).astype(np.float32) * 0.3
        found[module] = (a, b)
    return found


def write_peft(
    folder: Path, config: dict[str, object], found: dict[str, tuple[Floats, Floats]], *, turned: bool = False
) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    tensors = {}
    for module, (a, b) in found.items():
        tensors[f"base_model.model.{module}.lora_A.weight"] = np.ascontiguousarray(a.T) if turned else a
        tensors[f"base_model.model.{module}.lora_B.weight"] = np.ascontiguousarray(b.T) if turned else b
    write_safetensors(folder / "adapter_model.safetensors", tensors)
    return folder


def merged(made: Checkpoint, found: dict[str, tuple[Floats, Floats]], scales: dict[str, float]) -> Checkpoint:
    """The checkpoint with scale x B x A added to each weight."""
    weights = dict(made.weights)
    for module, (a, b) in found.items():
        weights[f"{module}.weight"] = weights[f"{module}.weight"] + np.float32(scales.get(module, scales[""])) * (b @ a)
    return Checkpoint(made.config, weights)


@pytest.fixture(scope="module")
def made() -> Checkpoint:
    return make_checkpoint(MISTRAL)


@pytest.fixture
def base(made: Checkpoint, tmp_path: Path) -> Base:
    return base_of_config(read_config(write_checkpoint(made, tmp_path / "base")), "base")


@pytest.mark.parametrize(
    ("extra", "ranks", "scales", "turned"),
    [
        ({}, {}, {"": 2.0}, False),
        ({"use_rslora": True}, {}, {"": 4.0}, False),
        ({"fan_in_fan_out": True}, {}, {"": 2.0}, True),
        (
            {"rank_pattern": {"q_proj": 2, r"layers\.1\.mlp\.down_proj": 8}, "alpha_pattern": {"k_proj": 32}},
            {Q: 2, DOWN: 8},
            {"": 2.0, Q: 4.0, DOWN: 1.0, K: 8.0},
            False,
        ),
        (
            {"use_rslora": True, "rank_pattern": {Q: 9}, "alpha_pattern": {"^model.layers.1.mlp.down_proj": 3}},
            {Q: 9},
            {"": 4.0, Q: 8 / 3, DOWN: 1.5},
            False,
        ),
    ],
    ids=["plain", "rslora", "fan-in-fan-out", "patterns", "rslora-patterns"],
)
def test_effect_is_that_of_the_formula(
    extra: dict[str, object],
    ranks: dict[str, int],
    scales: dict[str, float],
    turned: bool,
    made: Checkpoint,
    tmp_path: Path,
    store: Store,
) -> None:
    model_path = convert(
        plan_conversion(write_checkpoint(made, tmp_path / "base"), store, name="base", quant="F32"),
        store,
        lambda p: None,
    )
    found = pairs(made, ranks=ranks)
    folder = write_peft(tmp_path / "lora", PLAIN | extra, found, turned=turned)
    base = base_of_header(read_header(model_path), "base")
    adapter = write_adapter(plan_adapter(folder, base, store, name="lora"), lambda p: None)
    with Model.load(model_path) as model:
        model.add_adapter(find_adapter(Path("lora"), store))
        changed = logits(model, TOKENS)
    wanted = forward(merged(made, found, scales), TOKENS)
    np.testing.assert_allclose(changed, wanted, atol=2e-3, rtol=1e-3)
    assert np.abs(wanted - forward(made, TOKENS)).max() > 0.5
    assert read_header(adapter).text("adapter.type") == "lora"


def test_both_descriptions_of_a_base_agree(made: Checkpoint, base: Base, tmp_path: Path, store: Store) -> None:
    plan = plan_conversion(tmp_path / "base", store, name="base", quant="F16")
    header = read_header(convert(plan, store, lambda p: None))
    assert base_of_header(header, "base") == base


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"bias": "lora_only"}, "biases"),
        ({"lora_bias": True}, "biases"),
        ({"modules_to_save": ["embed_tokens", "lm_head"]}, "modules_to_save"),
        ({"peft_type": "IA3"}, "IA3"),
        ({"layer_replication": [[0, 4]]}, "replicates"),
        ({"alora_invocation_tokens": [1]}, "activated"),
    ],
)
def test_what_a_gguf_adapter_cannot_hold_is_refused(
    extra: dict[str, object], words: str, made: Checkpoint, base: Base, tmp_path: Path, store: Store
) -> None:
    folder = write_peft(tmp_path / "lora", PLAIN | extra, pairs(made))
    with pytest.raises(UsageError, match=words):
        plan_adapter(folder, base, store, name="lora")


def test_pickles_are_refused(base: Base, tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "lora"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(PLAIN))
    with pytest.raises(ModelMissing, match=r"adapter_model\.safetensors"):
        plan_adapter(folder, base, store, name="lora")
    (folder / "adapter_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(Refused, match="pickle"):
        plan_adapter(folder, base, store, name="lora")


@pytest.mark.parametrize(
    ("name", "shape", "error", "words"),
    [
        (f"base_model.model.{Q}.lora_A.weight", (4, 65), ModelBroken, "65"),
        (f"base_model.model.{Q}.lora_A.weight", (64, 4), ModelBroken, r"\[64, 4\]"),
        (f"base_model.model.{Q}.lora_magnitude_vector", (64,), UsageError, "DoRA"),
        (f"base_model.model.{Q}.lora_B.bias", (64,), UsageError, "bias"),
        ("base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight", (4, 64), ModelBroken, "one half"),
        ("base_model.model.model.norm.lora_A.weight", (4, 64), ModelBroken, "one half"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    name: str,
    shape: tuple[int, ...],
    error: type[FclocalError],
    words: str,
    made: Checkpoint,
    base: Base,
    tmp_path: Path,
    store: Store,
) -> None:
    folder = write_peft(tmp_path / "lora", PLAIN, {})
    a, b = pairs(made)[Q]
    tensors = {f"base_model.model.{Q}.lora_A.weight": a, f"base_model.model.{Q}.lora_B.weight": b}
    write_safetensors(folder / "adapter_model.safetensors", tensors | {name: np.zeros(shape, np.float32)})
    with pytest.raises(error, match=words):
        plan_adapter(folder, base, store, name="lora")


def test_a_layer_that_the_base_lacks_is_named(made: Checkpoint, base: Base, tmp_path: Path, store: Store) -> None:
    a, b = pairs(made)[Q]
    folder = write_peft(tmp_path / "lora", PLAIN, {"model.layers.7.self_attn.q_proj": (a, b)})
    with pytest.raises(ModelBroken, match="layer 7; base has 2"):
        plan_adapter(folder, base, store, name="lora")


def test_zero_alpha_has_no_effect(made: Checkpoint, base: Base, tmp_path: Path, store: Store) -> None:
    folder = write_peft(tmp_path / "lora", PLAIN | {"lora_alpha": 0}, pairs(made))
    plan = plan_adapter(folder, base, store, name="lora")
    assert all(math.isclose(pair.factor, 0.0) for pair in plan.pairs)


def test_adapters_are_found_by_path_and_name(made: Checkpoint, base: Base, tmp_path: Path, store: Store) -> None:
    folder = write_peft(tmp_path / "lora", PLAIN, pairs(made))
    path = write_adapter(plan_adapter(folder, base, store, name="mine"), lambda p: None)
    assert find_adapter(path, store) == find_adapter(Path("mine"), store) == path
    with pytest.raises(ModelMissing, match="mine"):
        find_adapter(Path("other"), store)
    with pytest.raises(UsageError, match="fclocal import"):
        find_adapter(folder, store)
    assert [model.name for model in store.installed()] == []
    assert list(path.parent.iterdir()) == [path]

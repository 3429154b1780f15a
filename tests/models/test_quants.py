"""Quantization labels, groups of shards, the choice among them, and labels that lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from fclocal.errors import ModelMissing
from fclocal.models.quants import (
    RemoteFile,
    bits_per_weight,
    by_tag,
    choose,
    is_model_file,
    quant_of,
    size_contradicts,
    true_quant,
    variants,
    wrong_label,
)
from fclocal.native.gguf import read_header
from tests.gguf_bytes import LLAMA, gguf

GB = 1_000_000_000


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("X-Q4_K_M.gguf", "Q4_K_M"),
        ("X.Q4_K_M.gguf", "Q4_K_M"),
        ("x-q4_k_m.gguf", "Q4_K_M"),
        ("deepseek.Q4_K.gguf", "Q4_K"),
        ("X_Q4_K_M.gguf", "Q4_K_M"),
        ("X-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("gemma-4-E2B_q4_0-it.gguf", "Q4_0"),
        ("Q4_K_M.gguf", "Q4_K_M"),
        ("Q4_K_M/X-Q4_K_M-00001-of-00003.gguf", "Q4_K_M"),
        ("x-fp16.gguf", "F16"),
        ("x-BF16.gguf", "BF16"),
        ("x-IQ3_XXS.gguf", "IQ3_XXS"),
        ("x-IQ4_NL.gguf", "IQ4_NL"),
        ("x-Q4_0_4_4.gguf", "Q4_0_4_4"),
        ("Qwen3-4B.gguf", ""),
        ("Q8_0/model.gguf", "Q8_0"),
        ("FQ4_K_MX.gguf", ""),
    ],
)
def test_labels(name: str, label: str) -> None:
    assert quant_of(name) == label


@pytest.mark.parametrize(
    "name", ["mmproj-x-f16.gguf", "x.imatrix.gguf", "ggml-vocab-llama.gguf", "mtp-x.gguf", "a.bin"]
)
def test_files_that_are_no_models(name: str) -> None:
    assert not is_model_file(name)


def test_shards_count_as_one_and_broken_sets_as_none() -> None:
    shards = [RemoteFile(f"big-Q8_0-0000{n}-of-00003.gguf", GB) for n in (3, 1, 2)]
    broken = [RemoteFile("half-Q4_0-00001-of-00002.gguf", GB)]
    found = variants([*shards, *broken, RemoteFile("x-Q4_K_M.gguf", GB), RemoteFile("README.md", 10)])
    assert [(one.quant, one.size) for one in found] == [("Q8_0", 3 * GB), ("Q4_K_M", GB)]
    assert [file.name[-14:-5] for file in found[0].files] == ["-of-00003"] * 3
    assert found[0].name.endswith("00001-of-00003.gguf")


def offered(**sizes: float) -> tuple[object, ...]:
    return variants(RemoteFile(f"m-{label}.gguf", int(size * GB)) for label, size in sizes.items())


@pytest.mark.parametrize(
    ("sizes", "room", "label"),
    [
        ({"Q4_K_M": 4, "Q8_0": 8}, 99, "Q4_K_M"),
        ({"Q4_K_S": 3.8, "Q5_K_M": 5, "Q8_0": 8, "F16": 16}, 99, "Q8_0"),
        ({"Q4_K_M": 4, "Q3_K_M": 3, "Q2_K": 2}, 3.5, "Q3_K_M"),
        ({"Q4_K_M": 4, "Q2_K": 2}, 2.5, "Q2_K"),
        ({"F16": 16}, 99, "F16"),
        ({"Q4_K_M": 4}, 1, None),
    ],
)
def test_choice(sizes: dict[str, float], room: float, label: str | None) -> None:
    found = choose(offered(**sizes), fits=lambda variant: variant.size <= room * GB)
    assert (found.variant.quant if found else None) == label


def test_tags() -> None:
    found = offered(Q4_K_M=4, Q4_K_S=3.8, Q8_0=8)
    assert by_tag(found, "q4_k_m", where="x").quant == "Q4_K_M"
    assert by_tag(found, "m-Q8_0.gguf", where="x").quant == "Q8_0"
    assert by_tag(found, "Q8", where="x").quant == "Q8_0"
    for unclear in ("Q4", "Q5_K_M", "nonsense"):
        with pytest.raises(ModelMissing, match="It has: Q8_0, Q4_K_M, Q4_K_S"):
            by_tag(found, unclear, where="x")


@pytest.mark.parametrize(
    ("name", "kind", "wrong", "truth"),
    [
        ("llama-2-7b.Q3_K_M.gguf", 12, True, "Q4_K"),
        ("right.Q4_K_M.gguf", 12, False, "Q4_K_M"),
        ("fallback.Q4_K_M.gguf", 6, False, "Q4_K_M"),
        ("fine.UD-Q2_K_XL.gguf", 12, False, "UD-Q2_K_XL"),
        ("plain.gguf", 8, False, "Q8_0"),
        ("lie.Q8_0.gguf", 2, True, "Q4_0"),
    ],
)
def test_labels_are_held_against_the_tensors(tmp_path: Path, name: str, kind: int, wrong: bool, truth: str) -> None:
    path = tmp_path / name
    path.write_bytes(gguf(LLAMA, {"token_embd.weight": ((256, 8), 14), "blk.0.ffn_up.weight": ((256, 4), kind)}))
    header = read_header(path)
    assert (wrong_label(header, name) is not None) == wrong
    assert true_quant(header, name) == truth
    assert bits_per_weight(header) == pytest.approx(header.weight_bytes * 8 / header.parameters)


def test_sizes_that_no_label_can_have() -> None:
    assert size_contradicts("Q4_K", 668_000_000, 1.35e9) is not None
    assert size_contradicts("Q3_K_M", 4_080_000_000, 6.74e9) is not None
    assert size_contradicts("Q4_K_M", 4_080_000_000, 6.74e9) is None
    assert size_contradicts("Q2_K", 2_830_000_000, 6.74e9) is None
    assert size_contradicts("Q8_0", 7_160_000_000, 6.74e9) is None

"""Memory plans: held against llama.cpp's own, and their decisions on machines of every size."""

from __future__ import annotations

from pathlib import Path

import pytest

from fclocal.errors import ModelBroken, OutOfMemory
from fclocal.models.fit import (
    MARGIN,
    Gpu,
    Machine,
    Sizes,
    compute_bytes,
    estimated_sizes,
    gb,
    kv_bytes,
    largest_context,
    plan,
    sizes_of,
)
from fclocal.models.load_plan import plan_load, slow_notice
from fclocal.models.machine import this_machine
from fclocal.models.names import ModelSource, source_from_file, starter_path
from fclocal.native.gguf import read_header
from fclocal.native.hyperparameters import hyperparameters
from fclocal.native.probe import measure, parse_log
from tests.gguf_bytes import LLAMA, gguf

GIB = 1 << 30
MIB = 1 << 20
# DeepSeek-Coder-1.3B: 24 layers, 16 KV heads of 128, 832 MB of Q4_K_M, vocabulary 32,256.
SMALL = Sizes((31 * MIB,) * 24, 90 * MIB, (16 * 256,) * 24, 32_256, 16_384, repacked=479 * MIB)


def test_kv_figures_of_a_known_model_are_exact() -> None:
    assert kv_bytes(SMALL, 16_384) == 3072 * MIB
    assert kv_bytes(SMALL, 16_384, "q8_0") == 1632 * MIB
    assert kv_bytes(SMALL, 1) == kv_bytes(SMALL, 256)
    assert compute_bytes(SMALL) == 71 * MIB


@pytest.mark.skipif(not starter_path().exists(), reason="the starter model is not built yet")
@pytest.mark.parametrize("kv_type", ["f16", "q8_0"])
@pytest.mark.parametrize("context", [512, 4096])
def test_formula_agrees_with_llama(kv_type: str, context: int) -> None:
    header = read_header(starter_path())
    sizes = sizes_of(header, hyperparameters(header, name="starter"))
    measured = measure(starter_path(), context=context, kv_type=kv_type)
    assert measured.kv == pytest.approx(kv_bytes(sizes, context, kv_type), abs=0.006 * MIB)
    planned = plan(sizes, Machine(memory=GIB), context=context, kv_type=kv_type)
    assert abs(planned.compute - measured.compute_bytes) < 8 * MIB


def test_probe_of_a_file_that_llama_cannot_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "odd.gguf"
    path.write_bytes(gguf(dict(LLAMA) | {"general.architecture": "nosuch", "nosuch.block_count": 1}))
    with pytest.raises(ModelBroken):
        measure(path, context=512)
    path.write_bytes(gguf(dict(LLAMA)))
    with pytest.raises(ModelBroken, match="cannot read"):
        measure(path, context=512)


def test_log_of_several_devices_is_added_up() -> None:
    log = """
llama_kv_cache:      CUDA0 KV buffer size =     0.00 MiB
llama_kv_cache: size =  100.00 MiB (  4096 cells,   6 layers,  1/1 seqs), K (f16):   12.00 MiB, V (f16):   12.00 MiB
llama_kv_cache_iswa: creating something
sched_reserve:      CUDA0 compute buffer size =    10.00 MiB
sched_reserve:  CUDA_Host compute buffer size =     2.50 MiB
llama_context:        CPU  output buffer size =     0.50 MiB
nonsense: CPU compute buffer size = x MiB
"""
    found = parse_log(log)
    assert found.kv == 100 * MIB
    assert found.compute == {"CUDA0": 10 * MIB, "CUDA_Host": 2.5 * MIB}
    assert found.output == MIB // 2


def test_no_gpu_means_the_cpu_and_says_so() -> None:
    found = plan(SMALL, Machine(memory=8 * GIB), context=4096)
    assert (found.fits, found.gpu_layers, found.on_gpu) == (True, 0, 0)
    assert found.on_cpu == SMALL.weights + kv_bytes(SMALL, 4096) + compute_bytes(SMALL)
    assert found.sentence.startswith("Fits on the CPU")


def test_repacked_weights_count_where_the_cpu_repacks() -> None:
    plain = plan(SMALL, Machine(memory=8 * GIB), context=4096)
    repacking = plan(SMALL, Machine(memory=8 * GIB, repacks=True), context=4096)
    assert repacking.on_cpu - plain.on_cpu == 479 * MIB


def test_everything_on_a_large_gpu() -> None:
    found = plan(SMALL, Machine(4 * GIB, (Gpu("big", 24 * GIB, 24 * GIB),)), context=16_384)
    assert (found.gpu_layers, found.fits) == (-1, True)
    assert found.on_cpu == 0
    assert "on the GPU" in found.sentence


def test_some_layers_on_a_small_gpu_within_its_margin() -> None:
    gpu = Gpu("small", 3 * GIB, 4 * GIB)
    found = plan(SMALL, Machine(16 * GIB, (gpu,)), context=16_384)
    assert 0 < found.gpu_layers < 24
    assert found.fits
    assert found.on_gpu <= gpu.free - MARGIN
    everything = plan(SMALL, Machine(16 * GIB, (gpu,)), context=16_384, gpu_layers=-1)
    assert not everything.fits


def test_layers_that_were_asked_for_do_nothing_without_a_gpu() -> None:
    assert plan(SMALL, Machine(8 * GIB), context=4096, gpu_layers=-1) == plan(SMALL, Machine(8 * GIB), context=4096)


def test_two_gpus_hold_more_than_one() -> None:
    gpu = Gpu("g", 3 * GIB, 4 * GIB)
    one = plan(SMALL, Machine(16 * GIB, (gpu,)), context=16_384).gpu_layers
    two = plan(SMALL, Machine(16 * GIB, (gpu, gpu)), context=16_384).gpu_layers
    assert two == -1 or two >= 2 * one - 1


def test_what_does_not_fit_says_what_would() -> None:
    machine = Machine(memory=2 * GIB)
    found = plan(SMALL, machine, context=16_384)
    assert not found.fits
    assert 0 < found.largest_context < 16_384
    assert plan(SMALL, machine, context=found.largest_context).fits
    assert not plan(SMALL, machine, context=found.largest_context + 256).fits
    assert f"{found.largest_context:,} tokens would fit" in found.sentence
    assert largest_context(SMALL, Machine(memory=100 * MIB)) == 0


def test_default_context_is_the_trained_one_up_to_8192() -> None:
    assert plan(SMALL, Machine(8 * GIB)).context == 8192
    assert plan(estimated_sizes(10**9, context=2048), Machine(8 * GIB)).context == 2048


def test_estimates_say_that_they_are() -> None:
    found = plan(estimated_sizes(4 * 10**9), Machine(memory=16 * GIB))
    assert not found.exact
    assert "about" in found.sentence


def test_compressed_and_missing_caches(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    metadata = dict(LLAMA) | {"llama.attention.kv_lora_rank": 512, "llama.rope.dimension_count": 64}
    path.write_bytes(gguf(metadata))
    header = read_header(path)
    assert sizes_of(header, hyperparameters(header, name="x")).kv == (576, 576)
    path.write_bytes(gguf(dict(LLAMA) | {"llama.attention.head_count_kv": [0, 2]}))
    header = read_header(path)
    assert sizes_of(header, hyperparameters(header, name="x")).kv == (0, 64)


def source(tmp_path: Path) -> ModelSource:
    path = tmp_path / "small-Q4_0.gguf"
    path.write_bytes(gguf())
    return source_from_file(path)


def test_loading_is_refused_with_numbers_before_it_is_tried(tmp_path: Path) -> None:
    small = source(tmp_path)
    assert plan_load(small, Machine(GIB), context=None, gpu_layers=None).context == 4096
    with pytest.raises(OutOfMemory, match="--context 4096"):
        plan_load(small, Machine(GIB), context=100_000_000, gpu_layers=None)
    with pytest.raises(OutOfMemory, match="smaller model"):
        plan_load(small, Machine(1000), context=None, gpu_layers=None)
    with pytest.raises(OutOfMemory, match="--gpu-layers auto"):
        plan_load(small, Machine(GIB, (Gpu("g", 1000, 1000),)), context=4096, gpu_layers=-1)


def test_slow_plans_are_said(tmp_path: Path) -> None:
    machine = Machine(8 * GIB, (Gpu("g", 1000, 1000),))
    fit = plan(SMALL, machine, context=4096)
    assert "CPU" in str(slow_notice(fit, machine))
    assert slow_notice(fit, Machine(8 * GIB)) is None


def test_this_machine_has_memory() -> None:
    assert 0 < this_machine().memory < 1 << 50


def test_sizes_in_words() -> None:
    assert [gb(size) for size in (0, 999, 20_000, 6_682_304, 4_080_000_000)] == [
        "0 bytes",
        "999 bytes",
        "20.0 kB",
        "6.7 MB",
        "4.08 GB",
    ]

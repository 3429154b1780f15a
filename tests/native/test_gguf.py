"""The header reader on right files and on 1,000 wrong ones: a Header or ModelBroken, in bounded time and memory."""

from __future__ import annotations

import random
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import gguf as reference
import numpy as np
import pytest

from fclocal.errors import ModelBroken, ModelMissing
from fclocal.native.ggml_types import FILE_TYPES, TENSOR_TYPES
from fclocal.native.gguf import MAX_HEADER, LongArray, parse_header, read_array, read_header
from fclocal.native.hyperparameters import hyperparameters
from tests.gguf_bytes import LLAMA, gguf, text

VOCABULARIES = Path(__file__).parents[3] / "shared" / "vocabs"
MEMORY = 64 << 20


def read(tmp_path: Path, data: bytes) -> object:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    return read_header(path)


def big_vocabulary(count: int = 150_000) -> dict[str, object]:
    tokens = [f"token{number}" for number in range(count)]
    return dict(LLAMA) | {
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.merges": [f"a{n} b{n}" for n in range(count)],
    }


def test_values_tensors_and_offsets(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    metadata = dict(LLAMA) | {"a.flag": True, "a.signed": -5, "a.list": [1, 2, 3], "a.words": ["x", "语"], "a.none": []}
    path.write_bytes(gguf(metadata, {"x": ((64, 3), 0), "y": ((32, 7), 8)}))
    header = read_header(path)
    assert header.metadata["a.flag"] is True
    assert header.metadata["a.signed"] == -5
    assert header.metadata["a.list"] == (1, 2, 3)
    assert header.metadata["a.words"] == ("x", "语")
    assert header.metadata["a.none"] == ()
    assert [(t.name, t.shape, t.type_name, t.offset, t.size) for t in header.tensors] == [
        ("x", (64, 3), "F32", 0, 768),
        ("y", (32, 7), "Q8_0", 768, 238),
    ]
    assert header.weight_bytes == 1006
    assert header.parameters == 64 * 3 + 32 * 7
    assert header.data_offset % 32 == 0
    assert header.file_size == path.stat().st_size


def test_same_as_the_reference_reader(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    writer = reference.GGUFWriter(path, "llama")
    writer.add_block_count(3)
    writer.add_float32("llama.rope.freq_base", 1e5)
    writer.add_token_list(["<s>", "é", "b"])
    for name, shape in (("token_embd.weight", (5, 64)), ("blk.0.attn_q.weight", (2, 64))):
        writer.add_tensor(name, np.ones(shape, np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    theirs = reference.GGUFReader(path)
    ours = read_header(path)
    assert [(t.name, list(t.shape), t.data_offset) for t in theirs.tensors] == [
        (t.name, list(t.shape), ours.data_offset + t.offset) for t in ours.tensors
    ]
    assert ours.metadata["llama.rope.freq_base"] == pytest.approx(1e5)
    assert ours.metadata["tokenizer.ggml.tokens"] == ("<s>", "é", "b")


def test_type_tables_agree_with_the_gguf_package() -> None:
    for kind, (block, size) in reference.GGML_QUANT_SIZES.items():
        assert TENSOR_TYPES[int(kind)] == (kind.name, block, size)
    for label in reference.LlamaFileType:
        if label.name.startswith("MOSTLY_"):
            assert FILE_TYPES[int(label)] == label.name.removeprefix("MOSTLY_").removesuffix("_MOE")


def test_version_2_is_read(tmp_path: Path) -> None:
    path = tmp_path / "two.gguf"
    path.write_bytes(gguf(version=2))
    assert read_header(path).version == 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (gguf(version=1), "version 1"),
        (gguf(version=9), "version 9"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0) + b"\0" * 8, "big-endian"),
        (b"<!DOCTYPE html><html>Not found</html>", "web page"),
        (b"<html><body>sign in</body></html>....", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"PK\x03\x04" + b"\0" * 60, "PyTorch"),
        (b"tjgg" + b"\0" * 60, "before GGUF"),
        (b"\0" * 64, "never finished"),
        (b"", "0 bytes"),
        (b"GGUF", "4 bytes"),
        (gguf(data=False), "cut off"),
        (gguf()[:-1], "cut off"),
        (gguf()[:200], "ends inside its header"),
    ],
)
def test_what_is_no_model_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(ModelBroken, match=words) as caught:
        read(tmp_path, data)
    assert "model.gguf" in caught.value.sentence


def header_with(*entries: bytes, tensors: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, len(entries)) + b"".join(entries) + b"\0" * 64


def tensor(name: str, shape: tuple[int, ...], kind: int = 0, offset: int = 0, dimensions: int | None = None) -> bytes:
    count = len(shape) if dimensions is None else dimensions
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", count, *shape, kind, offset)


HUGE = (1 << 64) - 1


@pytest.mark.parametrize(
    "data",
    [
        b"GGUF" + struct.pack("<IQQ", 3, HUGE, 0) + b"\0" * 64,
        b"GGUF" + struct.pack("<IQQ", 3, 0, HUGE) + b"\0" * 64,
        header_with(struct.pack("<Q", HUGE) + b"key"),
        header_with(text("key") + struct.pack("<IQ", 8, HUGE)),
        header_with(text("key") + struct.pack("<IQ", 8, 1 << 40)),
        header_with(text("key") + struct.pack("<IIQ", 9, 8, HUGE)),
        header_with(text("key") + struct.pack("<IIQ", 9, 8, 1 << 20) + b"\xff" * 4096),
        header_with(text("key") + struct.pack("<IIQ", 9, 4, HUGE)),
        header_with(text("key") + struct.pack("<IIQ", 9, 9, 1) + struct.pack("<IQ", 9, 1)),
        header_with(text("key") + struct.pack("<IIQ", 9, 77, 1)),
        header_with(text("key") + struct.pack("<I", 13)),
        header_with(text("")),
        header_with(*[text("key") + struct.pack("<II", 4, 1)] * 2),
        header_with(text("general.alignment") + struct.pack("<II", 4, 0)),
        header_with(text("general.alignment") + struct.pack("<II", 4, 33)),
        header_with(text("general.alignment") + struct.pack("<I", 8) + text("x")),
        header_with(tensors=1) + tensor("t", (HUGE, HUGE)),
        header_with(tensors=1)[:24] + tensor("t", (0,)),
        header_with(tensors=1)[:24] + tensor("t", (4, 4), 99),
        header_with(tensors=1)[:24] + tensor("t", (4, 4), 12),
        header_with(tensors=1)[:24] + tensor("t", (4, 4), 0, 64),
        header_with(tensors=1)[:24] + tensor("t", (), dimensions=0),
        header_with(tensors=1)[:24] + tensor("t", (1,) * 5),
        header_with(tensors=2)[:24] + tensor("t", (4,)) + tensor("t", (4,), 0, 32),
        header_with(tensors=1)[:24] + tensor("n" * 64, (4,)),
        header_with(tensors=1)[:24] + tensor("t", (1 << 31, 1 << 31, 1 << 31)),
    ],
)
def test_hostile_headers_are_refused(tmp_path: Path, data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ModelBroken):
            read(tmp_path, data)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def mutants(whole: bytes, header: int) -> list[Callable[[random.Random], bytes]]:
    def flip(chance: random.Random) -> bytes:
        data = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(header)] = chance.randrange(256)
        return bytes(data)

    def number(chance: random.Random) -> bytes:
        data = bytearray(whole)
        at = chance.randrange(8, header - 8)
        data[at : at + 8] = struct.pack("<Q", chance.choice([0, 1, 255, 1 << 31, 1 << 40, (1 << 63) + 1, HUGE]))
        return bytes(data)

    def cut(chance: random.Random) -> bytes:
        return whole[: chance.randrange(len(whole))]

    def drop(chance: random.Random) -> bytes:
        at = chance.randrange(header)
        return whole[:at] + whole[at + chance.randint(1, 64) :]

    def double(chance: random.Random) -> bytes:
        at = chance.randrange(header)
        return whole[:at] + whole[at : at + chance.randint(1, 64)] + whole[at:]

    return [flip, number, cut, drop, double]


def test_a_thousand_mutants_end_with_a_header_or_an_error(tmp_path: Path) -> None:
    whole = gguf(big_vocabulary(1500))
    header = len(gguf(big_vocabulary(1500), data=False))
    kinds = mutants(whole, header)
    path = tmp_path / "mutant.gguf"
    refused, slowest, highest = 0, 0.0, 0
    for seed in range(1000):
        chance = random.Random(seed)
        path.write_bytes(kinds[seed % len(kinds)](chance))
        if seed % 25 == 0:
            tracemalloc.start()
        begin = time.perf_counter()
        try:
            hyperparameters(read_header(path), name="mutant")
        except ModelBroken:
            refused += 1
        slowest = max(slowest, time.perf_counter() - begin)
        if seed % 25 == 0:
            highest = max(highest, tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert highest < MEMORY
    assert refused > 500
    assert slowest < 1.0


def test_memory_is_bounded_for_the_greediest_header(tmp_path: Path) -> None:
    array = struct.pack("<IIQ", 9, 8, 1024) + text("x" * 2000) * 1024
    entries = [text(f"key{number}") + array for number in range(10)]
    tracemalloc.start()
    try:
        with pytest.raises(ModelBroken, match="too much memory"):
            read(tmp_path, header_with(*entries))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The test's own copy of the file is not the reader's.
    assert peak - 2 * sum(map(len, entries)) < MEMORY


def test_endless_header_is_cut_at_its_limit() -> None:
    block = text("key") + struct.pack("<IIQ", 9, 8, (MAX_HEADER - 100) // 8)

    def reader(offset: int, size: int) -> bytes:
        start = b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + block
        return (start[offset : offset + size] + b"\0" * size)[:size]

    begin = time.perf_counter()
    with pytest.raises(ModelBroken, match="endless"):
        parse_header(reader, file_size=1 << 40, name="endless")
    assert time.perf_counter() - begin < 20


def test_long_arrays_are_stepped_over_and_read_on_demand(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf(big_vocabulary(5000)))
    header = read_header(path)
    tokens = header.metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, LongArray)
    assert header.length("tokenizer.ggml.tokens") == 5000
    assert read_array(path, tokens)[4999] == "token4999"


def test_150_000_tokens_take_less_than_100_ms(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf(big_vocabulary()))
    best = min(_seconds(path) for _ in range(5))
    assert best < 0.1


def _seconds(path: Path) -> float:
    begin = time.perf_counter()
    read_header(path)
    return time.perf_counter() - begin


@pytest.mark.skipif(not VOCABULARIES.is_dir(), reason="the shared vocabularies are not on this machine")
@pytest.mark.parametrize(("name", "count"), [("deepseek-coder", 32_256), ("llama-spm", 32_000), ("qwen2", 151_936)])
def test_real_vocabularies(name: str, count: int) -> None:
    path = VOCABULARIES / f"ggml-vocab-{name}.gguf"
    header = read_header(path)
    assert header.length("tokenizer.ggml.tokens") == count
    with pytest.raises(ModelBroken, match="vocabulary without weights"):
        hyperparameters(header, name=path.name)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("llama.block_count", 0, "block_count"),
        ("llama.block_count", 1 << 31, "block_count"),
        ("llama.embedding_length", 0, "embedding_length"),
        ("llama.context_length", 0, "context_length"),
        ("llama.attention.layer_norm_rms_epsilon", float("nan"), "epsilon"),
        ("llama.attention.layer_norm_rms_epsilon", -1.0, "epsilon"),
        ("llama.rope.freq_base", float("inf"), "freq_base"),
        ("llama.attention.head_count_kv", [1], "each of its 2 layers"),
        ("general.architecture", "", "no architecture"),
        ("general.architecture", "clip", "projector"),
        ("general.type", "adapter", "LoRA adapter"),
    ],
)
def test_impossible_hyperparameters_never_reach_llama(tmp_path: Path, key: str, value: object, words: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf(dict(LLAMA) | {key: value}))
    with pytest.raises(ModelBroken, match=words):
        hyperparameters(read_header(path), name="model.gguf")


def test_hyperparameters(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf(dict(LLAMA) | {"llama.attention.head_count_kv": [2, 0]}))
    facts = hyperparameters(read_header(path), name="model.gguf")
    assert (facts.layers, facts.heads, facts.kv_heads, facts.key_size, facts.context) == (2, 4, (2, 0), 16, 4096)
    assert facts.vocabulary == 5


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="no file"):
        read_header(tmp_path / "nothing.gguf")
    with pytest.raises(ModelBroken, match="folder"):
        read_header(tmp_path)

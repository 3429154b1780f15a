"""Write a model with random weights in the shape of DeepSeek-Coder 1.3B: it runs as fast as the trained one.

The weights are random blocks in the formats that llama.cpp's Q4_K_M mix gives this shape, so that nothing has to be
quantized: Q6_K for the output and half of the value projections, Q5_0 and Q8_0 for the down projections, whose rows of
5,504 are no multiple of 256, Q4_K for the rest. 832 MiB in 3 s.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from fclocal import paths
from tests.tiny_model import byte_letters, copy_vocabulary

LAYERS, WIDTH, HEADS, INNER, CONTEXT = 24, 2048, 16, 5504, 16384
ROPE_BASE, ROPE_FACTOR = 100_000.0, 4.0
VOCABULARY = 32_256
SPECIALS = ("<unk>", "<s>", "</s>")
SHARED_VOCABULARY = Path(__file__).parents[2] / "shared" / "vocabs" / "ggml-vocab-deepseek-coder.gguf"

Q4_K, Q5_0, Q6_K, Q8_0, F32 = (gguf.GGMLQuantizationType[name] for name in ("Q4_K", "Q5_0", "Q6_K", "Q8_0", "F32"))


def shape_model(path: Path | None = None) -> Path:
    """The model file, written to the cache (or to `path`) unless it is there."""
    path = path or paths.cache_folder() / "benchmarks" / "deepseek-coder-1.3b-shape.Q4_K_M.gguf"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    _write(partial)
    partial.replace(path)
    return path


def _write(path: Path) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Random weights in the shape of DeepSeek-Coder 1.3B")
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(ROPE_FACTOR)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)
    size = copy_vocabulary(writer, SHARED_VOCABULARY) if SHARED_VOCABULARY.exists() else _add_vocabulary(writer)
    tensors = list(_tensors(size))
    for name, rows, columns, kind in tensors:
        block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
        shape = (rows, columns // block * block_bytes) if kind != F32 else (columns,)
        dtype = np.dtype(np.uint8 if kind != F32 else np.float32)
        writer.add_tensor_info(name, shape, dtype, int(np.prod(shape)) * dtype.itemsize, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    random = np.random.default_rng(0)
    for _, rows, columns, kind in tensors:
        writer.write_tensor_data(_weights(random, rows, columns, kind))
    writer.close()


def _tensors(vocabulary: int) -> Iterator[tuple[str, int, int, gguf.GGMLQuantizationType]]:
    """Name, rows, columns and type of each tensor."""
    yield "token_embd.weight", vocabulary, WIDTH, Q4_K
    for layer in range(LAYERS):
        better = layer < LAYERS // 8 or layer >= 7 * LAYERS // 8 or (layer - LAYERS // 8) % 3 == 2
        block = f"blk.{layer}"
        yield f"{block}.attn_norm.weight", 1, WIDTH, F32
        yield f"{block}.attn_q.weight", WIDTH, WIDTH, Q4_K
        yield f"{block}.attn_k.weight", WIDTH, WIDTH, Q4_K
        yield f"{block}.attn_v.weight", WIDTH, WIDTH, Q6_K if better else Q4_K
        yield f"{block}.attn_output.weight", WIDTH, WIDTH, Q4_K
        yield f"{block}.ffn_norm.weight", 1, WIDTH, F32
        yield f"{block}.ffn_gate.weight", INNER, WIDTH, Q4_K
        yield f"{block}.ffn_up.weight", INNER, WIDTH, Q4_K
        yield f"{block}.ffn_down.weight", WIDTH, INNER, Q8_0 if better else Q5_0
    yield "output_norm.weight", 1, WIDTH, F32
    yield "output.weight", vocabulary, WIDTH, Q6_K


def _weights(
    random: np.random.Generator, rows: int, columns: int, kind: gguf.GGMLQuantizationType
) -> NDArray[np.generic]:
    """Random blocks whose scales give weights a standard deviation of about 0.02."""
    if kind == F32:
        return np.ones(columns, np.float32)
    block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    blocks = (
        np.frombuffer(random.bytes(rows * columns // block * block_bytes), np.uint8).reshape(-1, block_bytes).copy()
    )
    halves = blocks.view(np.float16)
    if kind == Q4_K:
        halves[:, 0], halves[:, 1] = 1e-4, 7.5e-4
    elif kind == Q6_K:
        halves[:, -1] = 1.5e-5
    else:
        halves[:, 0] = 2e-3 if kind == Q5_0 else 3e-4
    return blocks.reshape(rows, -1)


def _add_vocabulary(writer: gguf.GGUFWriter) -> int:
    """A byte-level BPE of 32,256 tokens: bytes, pairs and triples of printable characters."""
    letters = byte_letters()
    printable = [letters[byte] for byte in range(32, 127)]
    pairs = [a + b for a in printable for b in printable]
    merges = [f"{pair[0]} {pair[1]}" for pair in pairs]
    tokens = [*SPECIALS, *letters.values(), *pairs]
    for index in range(VOCABULARY - len(tokens)):
        pair, letter = pairs[index // len(printable)], printable[index % len(printable)]
        tokens.append(pair + letter)
        merges.append(f"{pair} {letter}")
    kinds = [gguf.TokenType.CONTROL] * len(SPECIALS) + [gguf.TokenType.NORMAL] * (len(tokens) - len(SPECIALS))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    return len(tokens)


if __name__ == "__main__":
    print(shape_model(Path(sys.argv[1]) if len(sys.argv) > 1 else None))

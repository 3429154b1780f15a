"""Write tiny random-weight llama GGUF models: the most hostile sampler there is, in a few hundred kilobytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np

from fclocal.native.gguf import LongArray, read_array, read_header

SPECIALS = ("<unk>", "<s>", "</s>", "<|extra|>")
MERGED = (
    '"}', '"}}', '": ', '": "', ', "', '{"', '", "', "}}", "]}", "null", "true", "false", "function", "arguments",
    "name", "city", "the", "ing", " the", " a", " to", "weather", "er", "on", "at", "10", "20",
)  # fmt: skip


def write_tiny_model(
    path: Path,
    *,
    vocab_from: Path | None = None,
    layers: int = 2,
    width: int = 64,
    heads: int = 4,
    context: int = 2048,
    seed: int = 0,
) -> Path:
    """Write a random llama model of `layers` x `width` to `path` and return it.

    The vocabulary is a byte-level BPE of about 350 tokens, or that of the GGUF `vocab_from`.
    """
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny random model")
    writer.add_block_count(layers)
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(2 * width)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_rope_dimension_count(width // heads)
    writer.add_layer_norm_rms_eps(1e-5)
    size = copy_vocabulary(writer, vocab_from) if vocab_from else _add_vocabulary(writer)
    random = np.random.default_rng(seed)

    def tensor(name: str, *shape: int, scale: float) -> None:
        writer.add_tensor(name, (random.standard_normal(shape) * scale).astype(np.float16))

    tensor("token_embd.weight", size, width, scale=1.0)
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    tensor("output.weight", size, width, scale=2.0 / width**0.5)
    for layer in range(layers):
        block = f"blk.{layer}"
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{block}.{norm}.weight", np.ones(width, np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensor(f"{block}.{name}.weight", width, width, scale=width**-0.5)
        for name in ("ffn_gate", "ffn_up"):
            tensor(f"{block}.{name}.weight", 2 * width, width, scale=width**-0.5)
        tensor(f"{block}.ffn_down.weight", width, 2 * width, scale=width**-0.5)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_vocabulary(writer: gguf.GGUFWriter) -> int:
    letters = byte_letters()
    tokens = [*SPECIALS, *letters.values()]
    merges: list[str] = []
    for word in MERGED:
        spelled = [letters[byte] for byte in word.encode()]
        while len(spelled) > 1:
            merge = f"{spelled[0]} {spelled[1]}"
            spelled[:2] = [spelled[0] + spelled[1]]
            if merge not in merges:
                merges.append(merge)
            if spelled[0] not in tokens:
                tokens.append(spelled[0])
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


def byte_letters() -> dict[int, str]:
    """GPT-2's printable stand-in for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable}
    letters |= {byte: chr(256 + at) for at, byte in enumerate(others)}
    return dict(sorted(letters.items()))


def copy_vocabulary(writer: gguf.GGUFWriter, source: Path) -> int:
    """Copy the tokenizer of the GGUF `source`; returns its number of tokens."""
    header = read_header(source)
    size = 0
    for key, value in header.metadata.items():
        if not key.startswith("tokenizer."):
            continue
        if isinstance(value, LongArray):
            value = read_array(source, value)
        if key == "tokenizer.ggml.tokens":
            assert isinstance(value, tuple)
            size = len(value)
        _add_entry(writer, key, value)
    return size


def _add_entry(writer: gguf.GGUFWriter, key: str, value: bool | int | float | str | Sequence[object]) -> None:
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case _:
            writer.add_array(key, list(value))

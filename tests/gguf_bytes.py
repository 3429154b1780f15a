"""Write GGUF bytes by hand, right ones and wrong ones, without the gguf package."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from fclocal.native.ggml_types import TENSOR_TYPES

Value = bool | int | float | str | Sequence["Value"]

LLAMA: Mapping[str, Value] = {
    "general.architecture": "llama",
    "general.name": "tiny",
    "llama.block_count": 2,
    "llama.context_length": 4096,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": ["<unk>", "<s>", "</s>", "a", "b"],
    "tokenizer.chat_template": "{{ messages }}",
}


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def value(item: Value) -> bytes:
    """A typed metadata value: bool, u32 (or i64 when it does not fit), f32, string, or an array of them."""
    match item:
        case bool():
            return struct.pack("<I?", 7, item)
        case int():
            return struct.pack("<II", 4, item) if 0 <= item < 1 << 32 else struct.pack("<Iq", 11, item)
        case float():
            return struct.pack("<If", 6, item)
        case str():
            return struct.pack("<I", 8) + text(item)
        case _:
            elements = [value(one) for one in item]
            kind = elements[0][:4] if elements else struct.pack("<I", 4)
            return (
                struct.pack("<I", 9) + kind + struct.pack("<Q", len(elements)) + b"".join(one[4:] for one in elements)
            )


def tensor_size(shape: Sequence[int], kind: int) -> int:
    _, block, size = TENSOR_TYPES[kind]
    count = 1
    for side in shape:
        count *= side
    return count // block * size


def gguf(
    metadata: Mapping[str, Value] = LLAMA,
    tensors: Mapping[str, tuple[Sequence[int], int]] | None = None,
    *,
    version: int = 3,
    alignment: int = 32,
    fill: bytes = b"\x00",
    data: bool = True,
) -> bytes:
    """A whole file. `tensors` maps a name to (shape, type); their data is `fill` repeated, or left away."""
    tensors = {"token_embd.weight": ((64, 5), 1), "blk.0.attn_q.weight": ((64, 64), 1)} if tensors is None else tensors
    out = bytearray(b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata)))
    for key, item in metadata.items():
        out += text(key) + value(item)
    offset = 0
    for name, (shape, kind) in tensors.items():
        out += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        out += struct.pack("<IQ", kind, offset)
        offset += -(-tensor_size(shape, kind) // alignment) * alignment
    out += b"\x00" * (-len(out) % alignment)
    if data:
        out += (fill * (offset // len(fill) + 1))[:offset]
    return bytes(out)

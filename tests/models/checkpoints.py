"""Tiny random checkpoints of Llama's families, their forward pass in plain numpy, and tokenizer files made of GGUF
vocabularies."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from fclocal.native.binding import Model, api
from fclocal.native.context import Batch, Context
from fclocal.native.gguf import LongArray, read_array, read_header

VOCABS = Path(__file__).parents[3] / "shared" / "vocabs"
Floats = NDArray[np.float32]

LLAMA: dict[str, object] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": 300,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "bos_token_id": 1,
    "eos_token_id": 2,
}
MISTRAL = LLAMA | {
    "architectures": ["MistralForCausalLM"],
    "model_type": "mistral",
    "num_key_value_heads": 2,
    "sliding_window": 4096,
    "max_position_embeddings": 32_768,
}
CODELLAMA = LLAMA | {"rope_theta": 1e6, "max_position_embeddings": 16_384, "num_key_value_heads": 1}
DEEPSEEK = LLAMA | {
    "rope_theta": 1e5,
    "rope_scaling": {"type": "linear", "factor": 4.0},
    "max_position_embeddings": 16_384,
}
LLAMA3 = LLAMA | {
    "rope_theta": 5e5,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
    "rope_scaling": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
}
FAMILIES = {"llama": LLAMA, "mistral": MISTRAL, "codellama": CODELLAMA, "deepseek": DEEPSEEK, "llama3": LLAMA3}


@dataclass
class Checkpoint:
    """A checkpoint in memory: its config and its weights under their names."""

    config: dict[str, object]
    weights: dict[str, Floats] = field(default_factory=dict)

    def number(self, key: str, default: int = 0) -> int:
        value = self.config.get(key, default)
        assert isinstance(value, int)
        return value


def make_checkpoint(config: Mapping[str, object], *, seed: int = 0) -> Checkpoint:
    """Random weights for `config`."""
    random = np.random.default_rng(seed)
    made = Checkpoint(dict(config))
    width, inner, heads = (
        made.number("hidden_size"),
        made.number("intermediate_size"),
        made.number("num_attention_heads"),
    )
    head = made.number("head_dim", width // heads)
    query, key = heads * head, made.number("num_key_value_heads", heads) * head

    def add(name: str, *shape: int) -> None:
        values = random.standard_normal(shape).astype(np.float32)
        values = values * shape[-1] ** -0.5 if len(shape) > 1 else 1 + 0.1 * values
        made.weights[name] = values.astype(np.float32)

    add("model.embed_tokens.weight", made.number("vocab_size"), width)
    for layer in range(made.number("num_hidden_layers")):
        at = f"model.layers.{layer}"
        add(f"{at}.input_layernorm.weight", width)
        add(f"{at}.post_attention_layernorm.weight", width)
        add(f"{at}.self_attn.q_proj.weight", query, width)
        add(f"{at}.self_attn.k_proj.weight", key, width)
        add(f"{at}.self_attn.v_proj.weight", key, width)
        add(f"{at}.self_attn.o_proj.weight", width, query)
        add(f"{at}.mlp.gate_proj.weight", inner, width)
        add(f"{at}.mlp.up_proj.weight", inner, width)
        add(f"{at}.mlp.down_proj.weight", width, inner)
    add("model.norm.weight", width)
    if not config.get("tie_word_embeddings"):
        add("lm_head.weight", made.number("vocab_size"), width)
    return made


def write_checkpoint(
    made: Checkpoint, folder: Path, *, dtype: str = "F32", shards: int = 1, tokenizer: bool = True
) -> Path:
    """Write config.json, the weights as `dtype` in `shards` files, and a small SentencePiece tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(made.config))
    names = list(made.weights)
    if shards == 1:
        write_safetensors(folder / "model.safetensors", made.weights, dtype)
    else:
        placed: dict[str, str] = {}
        for shard in range(shards):
            name = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
            part = names[shard::shards]
            write_safetensors(folder / name, {key: made.weights[key] for key in part}, dtype)
            placed |= dict.fromkeys(part, name)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    if tokenizer:
        pieces = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
        pieces += [(f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)]
        pieces += [("▁", -1.0, 1), *((letter, -2.0 - at, 1) for at, letter in enumerate("abcdefghijklmnopqrstuvwxyz"))]
        write_sentencepiece(folder / "tokenizer.model", pieces[: made.number("vocab_size")])
    return folder


def write_safetensors(path: Path, weights: Mapping[str, Floats], dtype: str = "F32") -> None:
    """A safetensors file; BF16 is truncated from F32."""
    if dtype == "F32":
        save_file(dict(weights), path)
        return
    if dtype == "F16":
        save_file({name: values.astype(np.float16) for name, values in weights.items()}, path)
        return
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = bytearray()
    for name, values in weights.items():
        raw = (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
        header[name] = {"dtype": "BF16", "shape": values.shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def rounded(made: Checkpoint, dtype: str) -> Checkpoint:
    """The checkpoint as it reads after it was stored as `dtype`."""
    if dtype == "F32":
        return made
    if dtype == "F16":
        return Checkpoint(made.config, {n: v.astype(np.float16).astype(np.float32) for n, v in made.weights.items()})
    cut = {name: (values.view(np.uint32) & 0xFFFF0000).view(np.float32) for name, values in made.weights.items()}
    return Checkpoint(made.config, cut)


def write_sentencepiece(path: Path, pieces: list[tuple[str, float, int]], *, kind: int = 2) -> None:
    """A tokenizer.model of (text, score, type)."""
    out = bytearray()
    for text, score, number in pieces:
        data = text.encode()
        piece = b"\x0a" + _varint(len(data)) + data + b"\x15" + struct.pack("<f", score) + b"\x18" + _varint(number)
        out += b"\x0a" + _varint(len(piece)) + piece
    trainer = b"\x18" + _varint(kind) + b"\x20" + _varint(len(pieces))
    out += b"\x12" + _varint(len(trainer)) + trainer
    path.write_bytes(bytes(out))


def vocabulary_of(name: str) -> dict[str, tuple[object, ...]]:
    """tokens, token_type, and scores or merges of a vocabulary GGUF."""
    path = VOCABS / f"ggml-vocab-{name}.gguf"
    found: dict[str, tuple[object, ...]] = {}
    for key, value in read_header(path).metadata.items():
        if isinstance(value, LongArray):
            found[key.removeprefix("tokenizer.ggml.")] = read_array(path, value)
    return found


def logits(model: Model, tokens: list[int]) -> Floats:
    """llama.cpp's logits after every token, all in F32: its flash attention would round keys and values to F16."""
    rows = []
    with (
        patch.object(api, "LLAMA_FLASH_ATTN_TYPE_AUTO", api.LLAMA_FLASH_ATTN_TYPE_DISABLED),
        Context(model, size=256, kv_type="f32") as context,
    ):
        batch = Batch(1)
        for at, token in enumerate(tokens):
            batch.clear()
            row = batch.add([token], sequence=0, position=at, output=True)
            context.decode(batch)
            rows.append(context.logits(row).copy())
    return np.array(rows)


def forward(made: Checkpoint, tokens: list[int]) -> Floats:
    """The logits after every token, as transformers computes them."""
    weights, width = made.weights, made.number("hidden_size")
    heads = made.number("num_attention_heads")
    kv_heads, size = made.number("num_key_value_heads", heads), made.number("head_dim", width // heads)
    angles = _angles(made, len(tokens), size)
    cos, sin = np.cos(angles), np.sin(angles)

    def norm(x: Floats, name: str) -> Floats:
        scale = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + made.config["rms_norm_eps"])
        return (x * scale * weights[name]).astype(np.float32)

    def turned(x: Floats) -> Floats:
        half = np.concatenate([-x[..., size // 2 :], x[..., : size // 2]], -1)
        return x * cos[:, None] + half * sin[:, None]

    x = weights["model.embed_tokens.weight"][tokens]
    mask = np.triu(np.full((len(tokens), len(tokens)), -np.inf), 1)
    for layer in range(made.number("num_hidden_layers")):
        at = f"model.layers.{layer}"
        h = norm(x, f"{at}.input_layernorm.weight")
        q = turned((h @ weights[f"{at}.self_attn.q_proj.weight"].T).reshape(-1, heads, size))
        k = turned((h @ weights[f"{at}.self_attn.k_proj.weight"].T).reshape(-1, kv_heads, size))
        v = (h @ weights[f"{at}.self_attn.v_proj.weight"].T).reshape(-1, kv_heads, size)
        k, v = np.repeat(k, heads // kv_heads, 1), np.repeat(v, heads // kv_heads, 1)
        scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(size) + mask
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = np.einsum("hqk,khd->qhd", scores / scores.sum(-1, keepdims=True), v).reshape(len(tokens), -1)
        x = x + mixed @ weights[f"{at}.self_attn.o_proj.weight"].T
        h = norm(x, f"{at}.post_attention_layernorm.weight")
        gate = h @ weights[f"{at}.mlp.gate_proj.weight"].T
        up = h @ weights[f"{at}.mlp.up_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ weights[f"{at}.mlp.down_proj.weight"].T
    head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
    return np.asarray(norm(x, "model.norm.weight") @ head.T, np.float32)


def _angles(made: Checkpoint, count: int, size: int) -> NDArray[np.float64]:
    theta = made.config.get("rope_theta", 10_000.0)
    scaling = made.config.get("rope_scaling") or {}
    assert isinstance(theta, int | float)
    assert isinstance(scaling, dict)
    frequencies = theta ** -(np.arange(0, size, 2) / size)
    factor = scaling.get("factor", 1.0)
    if scaling.get("type", scaling.get("rope_type")) == "linear":
        frequencies = frequencies / factor
    elif scaling:
        trained = scaling["original_max_position_embeddings"]
        length = 2 * np.pi / frequencies
        blend = (trained / length - scaling["low_freq_factor"]) / (
            scaling["high_freq_factor"] - scaling["low_freq_factor"]
        )
        frequencies = frequencies * (np.clip(blend, 0, 1) + (1 - np.clip(blend, 0, 1)) / factor)
    angles = np.outer(np.arange(count), frequencies)
    return np.concatenate([angles, angles], -1)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)

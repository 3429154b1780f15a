"""What a GGUF header says about a model: layers, heads, context. Checks that the numbers can be loaded at all.

llama.cpp aborts the whole process on some impossible hyperparameters (no layers, an epsilon that is no number), so they
are refused here first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from fclocal.errors import ModelBroken
from fclocal.native.gguf import Header

_RANGES: Final = {
    "block_count": (1, 4096),
    "embedding_length": (1, 1 << 20),
    "context_length": (1, 1 << 30),
}
_OPTIONAL_RANGES: Final = {
    "attention.head_count": (0, 1 << 16),
    "attention.head_count_kv": (0, 1 << 16),
    "attention.key_length": (1, 1 << 16),
    "attention.value_length": (1, 1 << 16),
    "rope.dimension_count": (0, 1 << 16),
    "expert_count": (0, 1 << 12),
    "feed_forward_length": (0, 1 << 24),
}
_EPSILONS: Final = ("attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon")


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Facts of one model.

    `kv_heads` holds one number per layer, 0 for a layer without attention. `key_size` and `value_size` are elements of
    a head. `window` is the sliding window in tokens or 0. `latent` is the rank of a compressed KV cache (MLA) or 0.
    """

    architecture: str
    layers: int
    embedding: int
    heads: int
    kv_heads: tuple[int, ...]
    key_size: int
    value_size: int
    context: int
    vocabulary: int
    window: int = 0
    latent: int = 0
    recurrent: bool = False


def hyperparameters(header: Header, *, name: str) -> Hyperparameters:
    """The facts in `header`. Raises ModelBroken, with `name` in the sentence, for a file that no runtime can load."""
    architecture = header.architecture
    if not architecture:
        raise ModelBroken(f"{name} names no architecture.", "It is not a model that llama.cpp can load.")
    kind = header.text("general.type")
    if kind == "adapter" or architecture == "clip":
        what = "a LoRA adapter" if kind == "adapter" else "a vision projector"
        raise ModelBroken(f"{name} is {what}, not a model.", "Name the model's own file.")
    if not header.tensors and header.number("split.count") < 2:
        raise ModelBroken(f"{name} is a vocabulary without weights.", "Name a file that holds the weights.")
    return _checked(header, architecture, name)


def _checked(header: Header, architecture: str, name: str) -> Hyperparameters:
    for key, (low, high) in _RANGES.items():
        _whole(header, f"{architecture}.{key}", low, high, name)
    for key, (low, high) in _OPTIONAL_RANGES.items():
        if f"{architecture}.{key}" in header.metadata:
            _whole(header, f"{architecture}.{key}", low, high, name)
    for key in _EPSILONS:
        epsilon = header.metadata.get(f"{architecture}.{key}")
        if epsilon is not None and not (isinstance(epsilon, float) and math.isfinite(epsilon) and 0 <= epsilon < 1):
            raise ModelBroken(f"{name} has the impossible value {epsilon!r} for {architecture}.{key}.")
    base = header.metadata.get(f"{architecture}.rope.freq_base")
    if base is not None and not (isinstance(base, float) and math.isfinite(base) and base > 0):
        raise ModelBroken(f"{name} has the impossible value {base!r} for {architecture}.rope.freq_base.")
    layers = int(header.number(f"{architecture}.block_count"))
    embedding = int(header.number(f"{architecture}.embedding_length"))
    heads = int(header.number(f"{architecture}.attention.head_count"))
    size = embedding // heads if heads else 0
    return Hyperparameters(
        architecture=architecture,
        layers=layers,
        embedding=embedding,
        heads=heads,
        kv_heads=_kv_heads(header, architecture, layers, heads, name),
        key_size=int(header.number(f"{architecture}.attention.key_length", size)),
        value_size=int(header.number(f"{architecture}.attention.value_length", size)),
        context=int(header.number(f"{architecture}.context_length")),
        vocabulary=vocabulary_size(header),
        window=int(header.number(f"{architecture}.attention.sliding_window")),
        latent=int(header.number(f"{architecture}.attention.kv_lora_rank")),
        recurrent=f"{architecture}.ssm.state_size" in header.metadata,
    )


def vocabulary_size(header: Header) -> int:
    """Number of tokens: the tokenizer's list, else the width of the output."""
    listed = header.length("tokenizer.ggml.tokens") or int(header.number(f"{header.architecture}.vocab_size"))
    if listed:
        return listed
    return next((tensor.shape[-1] for tensor in header.tensors if tensor.name == "token_embd.weight"), 0)


def _kv_heads(header: Header, architecture: str, layers: int, heads: int, name: str) -> tuple[int, ...]:
    value = header.metadata.get(f"{architecture}.attention.head_count_kv", heads)
    if isinstance(value, int):
        return (value,) * layers
    if isinstance(value, tuple) and len(value) >= layers:
        return tuple(int(item) for item in value[:layers])
    raise ModelBroken(f"{name} does not give {architecture}.attention.head_count_kv for each of its {layers} layers.")


def _whole(header: Header, key: str, low: int, high: int, name: str) -> None:
    value = header.metadata.get(key)
    if value is None:
        raise ModelBroken(f"{name} does not say {key}.", "It is not a model that llama.cpp can load.")
    numbers = value if isinstance(value, tuple) else (value,)
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            raise ModelBroken(f"{name} has the impossible value {number!r} for {key}.")

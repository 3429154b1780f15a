"""Metadata that old GGUF files lack and llama.cpp needs. Pure: decides overrides, changes no file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fclocal.native.gguf import Header
from fclocal.native.hyperparameters import vocabulary_size

PRE: Final = "tokenizer.ggml.pre"


def overrides(header: Header, name: str, *, base: str | None = None) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Key -> value to override at load, and a sentence for each.

    Files from before April 2024 do not say how text is split before BPE; llama.cpp then splits it in the GPT-2 way and
    the model reads other tokens than it was trained on. `base` is the base model of the catalog entry, if there is one.
    """
    if header.text("tokenizer.ggml.model") != "gpt2" or header.text(PRE):
        return {}, ()
    pre = _splitter(header, f"{name} {base or ''} {header.text('general.name')}".lower())
    if pre is None:
        return {}, (f"{name} does not say how its text is split into words (no {PRE}); replies may be worse.",)
    return {PRE: pre}, (f"{name} lacks {PRE}; it is read as {pre}.",)


def _splitter(header: Header, words: str) -> str | None:
    size, bos = vocabulary_size(header), int(header.number("tokenizer.ggml.bos_token_id", -1))
    if "deepseek" in words and (32_000 < size <= 32_256 or bos == 32_013):
        return "deepseek-coder"
    if "deepseek" in words and size in range(102_400, 102_500):
        return "deepseek-llm"
    if size == 128_256 or ("llama" in words and "3" in words and bos == 128_000):
        return "llama-bpe"
    if "qwen" in words and 151_000 < size < 153_000:
        return "qwen2"
    return None

"""The tokenizer as `tokenizers` runs it, equal to llama.cpp's gpt2/gpt-2. Knows tokenizer.json, no prompts."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

TOKENIZER = Path(__file__).resolve().parent.parent / "tokenizer.json"
SPECIAL = ("<s>", "</s>")
BOS, EOS = 0, 1


@lru_cache(maxsize=1)
def byte_letters() -> dict[int, str]:
    """GPT-2's printable letter for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in plain}
    extra = 0
    for byte in range(256):
        if byte not in letters:
            letters[byte] = chr(256 + extra)
            extra += 1
    return dict(sorted(letters.items()))


def vocabulary() -> tuple[list[str], list[str]]:
    """Tokens by id and merges in order."""
    data = json.loads(TOKENIZER.read_text(encoding="utf-8"))
    return data["tokens"], data["merges"]


@lru_cache(maxsize=1)
def load() -> Tokenizer:
    tokens, merges = vocabulary()
    pairs = [tuple(merge.split(" ")) for merge in merges]
    tokenizer = Tokenizer(
        BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=pairs, cache_capacity=200000)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer

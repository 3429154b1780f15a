"""The tokenizer as `tokenizers` runs it behind the cut into pieces, equal to llama.cpp's. Knows no prompts."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from pathlib import Path

from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

from recipe.pieces import PIECES, cut

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


@lru_cache(maxsize=1)
def vocabulary() -> tuple[list[str], list[str]]:
    """Tokens by id and merges in order."""
    data = json.loads(TOKENIZER.read_text(encoding="utf-8"))
    return data["tokens"], data["merges"]


@lru_cache(maxsize=1)
def load() -> Tokenizer:
    tokens, merges = vocabulary()
    pairs = [tuple(merge.split(" ")) for merge in merges]
    tokens = tokens[: -len(PIECES)]
    tokenizer = Tokenizer(
        BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=pairs, cache_capacity=200000)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


@lru_cache(maxsize=1)
def piece_ids() -> dict[str, int]:
    """The token of every piece of markup; they stand behind the bytes and the words."""
    first = vocabulary()[0].index(PIECES[0])
    return {piece: first + index for index, piece in enumerate(PIECES)}


def encode(text: str) -> list[int]:
    """Token ids, without BOS or EOS."""
    found: list[int] = []
    for fragment in cut(text):
        token = piece_ids().get(fragment)
        found += load().encode(fragment).ids if token is None else [token]
    return found


@lru_cache(maxsize=1)
def bytes_of_letters() -> dict[str, int]:
    return {letter: byte for byte, letter in byte_letters().items()}


@cache
def token_bytes(token: int) -> bytes:
    """What a token stands for."""
    text = vocabulary()[0][token]
    return text.encode() if text in piece_ids() else bytes(bytes_of_letters()[letter] for letter in text)

"""llama.cpp cuts text exactly as the tokenizer that trained the starter; goldens made with `tokenizers`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fclocal.engine.engine import Engine

HERE = Path(__file__).resolve().parent
RECIPE = HERE.parents[1] / "packaging" / "starter"
MODEL = HERE.parents[1] / "fclocal" / "models" / "starter" / "starter.gguf"

pytestmark = pytest.mark.skipif(not MODEL.exists(), reason="the starter is not here")


async def test_llama_cpp_tokenises_like_the_trainer():
    goldens = json.loads((HERE / "tokens.json").read_text(encoding="utf-8"))
    async with await Engine.open(MODEL, context=512, threads=1) as engine:
        for text, tokens in goldens:
            assert list(engine.tokenize(text, special=False)) == tokens, text
            assert engine.detokenize(tokens).decode("utf-8") == text


def test_no_token_joins_a_quotation_mark_with_what_follows():
    tokens = json.loads((RECIPE / "tokenizer.json").read_text(encoding="utf-8"))["tokens"]
    assert len(tokens) == 4096
    assert not [token for token in tokens if '"' in token[:-1]]
    assert not [token for token in tokens if token.count("Ċ") > 1]
    assert not [
        token for token in tokens if len(token) > 1 and any(char.isdigit() for char in token) and token[0] != "<"
    ]


async def test_the_file_says_what_it_speaks():
    async with await Engine.open(MODEL, context=512, threads=1) as engine:
        metadata = engine.header.metadata
    assert metadata["fclocal.dialect"] == "trelis-llama"
    assert metadata["fclocal.layout"] == "one-line"
    assert metadata["general.license"] == "mit"
    assert metadata["llama.context_length"] >= 4096
    assert metadata["tokenizer.ggml.add_bos_token"] is True
    assert MODEL.stat().st_size < 12_000_000

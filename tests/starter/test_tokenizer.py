"""llama.cpp cuts text exactly as the tokenizer that trained the starter; goldens made with `tokenizers`."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipe.pieces import CALL, PIECES, cut

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


def test_no_token_joins_the_end_of_a_value_with_what_follows():
    tokens = json.loads((RECIPE / "tokenizer.json").read_text(encoding="utf-8"))["tokens"]
    words = [token for token in tokens if token not in PIECES]
    assert len(tokens) == 6144
    assert not [token for token in words if '"' in token[:-1]]
    assert not [token for token in words if token.count("Ċ") > 1]
    assert not [token for token in words if len(token) > 1 and set(token) & set(string.digits) and token[0] != "<"]
    assert tokens[-len(PIECES) :] == list(PIECES)
    assert not [piece for piece in CALL if piece.startswith('"') and piece[1] in ",]}" and "arguments" not in piece]


def test_a_cut_takes_the_longest_piece_first_and_loses_nothing():
    text = '{"function": "f", "arguments": {"a": ["x", "y"], "n": 3}}'
    assert cut(text) == [
        *('{"function": "', "f", '", "arguments": {"', "a", '": ["', 'x"', ', "', 'y"', '], "', "n", '": ', "3", "}}")
    ]
    assert cut("") == [""]
    assert cut("plain") == ["plain"]


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=6)), max_size=8).map("".join))
def test_a_cut_is_the_text(text):
    assert "".join(cut(text)) == text


async def test_the_file_says_what_it_speaks():
    async with await Engine.open(MODEL, context=512, threads=1) as engine:
        metadata = engine.header.metadata
    assert metadata["fclocal.dialect"] == "trelis-llama"
    assert metadata["fclocal.layout"] == "one-line"
    assert metadata["general.license"] == "mit"
    assert metadata["llama.context_length"] >= 4096
    assert metadata["tokenizer.ggml.add_bos_token"] is True
    assert MODEL.stat().st_size < 12_000_000

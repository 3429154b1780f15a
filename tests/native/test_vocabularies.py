"""The tokenizer binding against llama.cpp's own goldens for three vocabularies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fclocal.native import binding
from fclocal.native.binding import Vocabulary, api

FOLDER = Path(__file__).parents[3] / "shared" / "vocabs"
NAMES = ("llama-spm", "deepseek-coder", "qwen2")

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the vocabulary goldens are not on this machine")


@pytest.fixture(scope="module", params=NAMES)
def golden(request: pytest.FixtureRequest) -> Iterator[tuple[Vocabulary, Path]]:
    path = FOLDER / f"ggml-vocab-{request.param}.gguf"
    binding.start_backend()
    params = api.llama_model_default_params()
    params.vocab_only = True
    model = api.llama_model_load_from_file(os.fsencode(path), params)
    assert model
    yield Vocabulary(api.llama_model_get_vocab(model)), path
    api.llama_model_free(model)


def pairs(path: Path) -> list[tuple[str, list[int]]]:
    texts = Path(f"{path}.inp").read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")
    lines = Path(f"{path}.out").read_text(encoding="utf-8").split("\n")
    return [(text, [int(word) for word in line.split()]) for text, line in zip(texts, lines, strict=False)]


def test_goldens(golden: tuple[Vocabulary, Path]) -> None:
    vocabulary, path = golden
    read = pairs(path)
    assert len(read) > 40
    wrong = [(text, ids) for text, ids in read if vocabulary.tokenize(text, special=False) != ids]
    assert wrong == []


def test_end_token_text_in_plain_text_is_no_token(golden: tuple[Vocabulary, Path]) -> None:
    vocabulary, _ = golden
    end = vocabulary.piece(vocabulary.eos).decode()
    assert vocabulary.eos in vocabulary.tokenize(f"a{end}b", special=True)
    assert vocabulary.eos not in vocabulary.tokenize(f"a{end}b", special=False)


@pytest.mark.parametrize("text", ["", "\0", "a\0b", "\ud800x", "你好，世界 🦙👩‍👩‍👧", "\r\n\t\v\f", "\u202eabc"])
def test_any_text_round_trips(golden: tuple[Vocabulary, Path], text: str) -> None:
    vocabulary, _ = golden
    ids = vocabulary.tokenize(text, special=False)
    spelled = b"".join(vocabulary.piece(token) for token in ids).decode("utf-8", "replace")
    assert spelled.removeprefix(" ") == text.encode("utf-8", "replace").decode().replace("?x", "\ufffdx")

"""GGUF files of 2023 that do not say how their text is split are read as their family is."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest

from fclocal.models.names import source_from_file
from fclocal.native.binding import Model
from fclocal.native.gguf import read_header
from tests.models.checkpoints import VOCABS
from tests.models.test_convert_tokens import golden
from tests.tiny_model import write_tiny_model

pytestmark = pytest.mark.skipif(not VOCABS.is_dir(), reason="the vocabulary goldens are not on this machine")


class WithoutPre(gguf.GGUFWriter):  # type: ignore[misc]  # gguf is imported without types
    """Writes files as converters did before April 2024."""

    def add_string(self, key: str, val: str) -> None:
        if key != "tokenizer.ggml.pre":
            super().add_string(key, val)


def old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(gguf, "GGUFWriter", WithoutPre)
    return write_tiny_model(path, vocab_from=VOCABS / "ggml-vocab-deepseek-coder.gguf", layers=1, width=32)


def wrong(path: Path, overrides: dict[str, str]) -> list[str]:
    with Model.load(path, overrides=overrides) as model:
        return [text for text, ids in golden("deepseek-coder") if model.vocabulary.tokenize(text, special=False) != ids]


def test_an_old_deepseek_file_is_read_rightly_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = old_file(tmp_path / "deepseek-coder-1.3b-instruct.Q4_K_M.gguf", monkeypatch)
    assert read_header(path).text("tokenizer.ggml.pre") == ""
    source = source_from_file(path)
    assert dict(source.overrides) == {"tokenizer.ggml.pre": "deepseek-coder"}
    assert any("lacks tokenizer.ggml.pre" in note for note in source.notes)
    assert wrong(path, {}) != []
    assert wrong(path, dict(source.overrides)) == []


def test_an_old_file_of_an_unknown_family_is_said_to_be_doubtful(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = old_file(tmp_path / "mystery.gguf", monkeypatch)
    source = source_from_file(path)
    assert source.overrides == {}
    assert any("tokenizer.ggml.pre" in note for note in source.notes)

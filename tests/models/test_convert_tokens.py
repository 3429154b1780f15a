"""Imported tokenizers split text as the goldens of their families say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fclocal.errors import ModelBroken, UsageError
from fclocal.models.checkpoint import read_config
from fclocal.models.convert import convert, plan_conversion, read_vocabulary
from fclocal.models.store import Store
from fclocal.models.vocabulary import Kind, Vocabulary
from fclocal.native.binding import Model
from tests.models.checkpoints import (
    CODELLAMA,
    DEEPSEEK,
    LLAMA,
    VOCABS,
    make_checkpoint,
    vocabulary_of,
    write_checkpoint,
    write_sentencepiece,
)

needs_goldens = pytest.mark.skipif(not VOCABS.is_dir(), reason="the vocabulary goldens are not on this machine")
SMALL = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2, "num_key_value_heads": 2}
DEEPSEEK_SPLIT = {
    "type": "Sequence",
    "pretokenizers": [
        *(
            {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}
            for regex in ("[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+")
        ),
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
    ],
}


def spm_folder(folder: Path, config: dict[str, object], *, extra: tuple[str, ...] = ()) -> Path:
    """A checkpoint with the Llama-2 vocabulary and `extra` control pieces after it."""
    found = vocabulary_of("llama-spm")
    pieces = [
        (str(text), float(str(score)), int(str(kind)))
        for text, score, kind in zip(found["tokens"], found["scores"], found["token_type"], strict=True)
    ]
    pieces += [(text, 0.0, 3) for text in extra]
    made = make_checkpoint(config | SMALL | {"vocab_size": len(pieces)})
    write_checkpoint(made, folder, tokenizer=False)
    write_sentencepiece(folder / "tokenizer.model", pieces)
    return folder


def as_byte_fallback(folder: Path) -> None:
    """Replace tokenizer.model by the tokenizer.json that transformers makes of it."""
    found = vocabulary_of("llama-spm")
    tokens = [str(text) for text in found["tokens"]]
    scores = dict(zip(tokens, found["scores"], strict=True))
    halves = [(text[:at], text[at:]) for text in tokens[259:] for at in range(1, len(text))]
    merges = [pair for pair in halves if pair[0] in scores and pair[1] in scores]
    merges.sort(key=lambda pair: -float(str(scores["".join(pair)])))
    added = [{"id": at, "content": tokens[at], "special": True} for at in range(3)]
    model = {
        "type": "BPE",
        "byte_fallback": True,
        "unk_token": "<unk>",
        "merges": [" ".join(pair) for pair in merges],
        "vocab": {text: at for at, text in enumerate(tokens)},
    }
    (folder / "tokenizer.model").unlink()
    document = {"model": model, "added_tokens": added, "pre_tokenizer": None}
    (folder / "tokenizer.json").write_text(json.dumps(document))


def bpe_folder(folder: Path, name: str, config: dict[str, object], split: object, *, pairs: bool = False) -> Path:
    """A checkpoint with the BPE vocabulary `name`; with `pairs` merges are written the new way."""
    found = vocabulary_of(name)
    tokens = [str(text) for text in found["tokens"]]
    kinds = found["token_type"]
    added = [
        {"id": at, "content": text, "special": kinds[at] == Kind.CONTROL}
        for at, text in enumerate(tokens)
        if kinds[at] in (Kind.CONTROL, Kind.USER_DEFINED)
    ]
    there = {item["id"] for item in added}
    vocab = {text: at for at, text in enumerate(tokens) if at not in there and kinds[at] == Kind.NORMAL}
    merges = [str(merge).split(" ") for merge in found["merges"]] if pairs else list(found["merges"])
    made = make_checkpoint(config | SMALL | {"vocab_size": len(tokens)})
    write_checkpoint(made, folder, tokenizer=False)
    document = {
        "model": {"type": "BPE", "vocab": vocab, "merges": merges},
        "added_tokens": added,
        "pre_tokenizer": split,
    }
    (folder / "tokenizer.json").write_text(json.dumps(document))
    return folder


def golden(name: str) -> list[tuple[str, list[int]]]:
    path = VOCABS / f"ggml-vocab-{name}.gguf"
    texts = Path(f"{path}.inp").read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")
    lines = Path(f"{path}.out").read_text(encoding="utf-8").split("\n")
    return [(text, [int(word) for word in line.split()]) for text, line in zip(texts, lines, strict=False)]


def imported(folder: Path, store: Store) -> Path:
    return convert(plan_conversion(folder, store, name=folder.name, quant="F16"), store, lambda progress: None)


def check(path: Path, name: str) -> None:
    with Model.load(path) as model:
        wrong = [text for text, ids in golden(name) if model.vocabulary.tokenize(text, special=False) != ids]
        assert wrong == []


@needs_goldens
@pytest.mark.parametrize("form", ["tokenizer.model", "tokenizer.json"])
def test_llama_tokens_are_the_goldens(form: str, tmp_path: Path, store: Store) -> None:
    folder = spm_folder(tmp_path / "llama", LLAMA)
    if form == "tokenizer.json":
        as_byte_fallback(folder)
    path = imported(folder, store)
    check(path, "llama-spm")
    with Model.load(path) as model:
        assert (model.vocabulary.bos, model.vocabulary.eos, model.vocabulary.add_bos) == (1, 2, True)


@needs_goldens
def test_deepseek_tokens_are_the_goldens(tmp_path: Path, store: Store) -> None:
    folder = bpe_folder(tmp_path / "deepseek", "deepseek-coder", DEEPSEEK, DEEPSEEK_SPLIT)
    config = {
        "add_bos_token": True,
        "bos_token": {"__type": "AddedToken", "content": "<｜begin▁of▁sentence｜>"},
        "eos_token": "<|EOT|>",
        "chat_template": "{{ messages }}",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    path = imported(folder, store)
    check(path, "deepseek-coder")
    with Model.load(path) as model:
        assert (model.vocabulary.bos, model.vocabulary.eos, model.vocabulary.add_bos) == (32_013, 32_021, True)
        assert model.header.text("tokenizer.chat_template") == "{{ messages }}"
        assert model.header.text("tokenizer.ggml.pre") == "deepseek-coder"
        assert model.header.number("llama.rope.scaling.factor") == 4.0


@needs_goldens
def test_merges_are_read_in_both_spellings(tmp_path: Path) -> None:
    folders = [
        bpe_folder(tmp_path / str(pairs), "deepseek-coder", DEEPSEEK, DEEPSEEK_SPLIT, pairs=pairs)
        for pairs in (False, True)
    ]
    assert read(folders[0]) == read(folders[1])


def read(folder: Path) -> Vocabulary:
    return read_vocabulary(folder, read_config(folder))


@needs_goldens
def test_codellama_tokens_for_infilling_are_found(tmp_path: Path) -> None:
    names = ("▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>")
    special = read(spm_folder(tmp_path / "code", CODELLAMA, extra=names)).special
    assert [special[name] for name in ("fim_pre", "fim_suf", "fim_mid", "eot")] == [32_000, 32_001, 32_002, 32_003]


def test_added_tokens_and_padding(tmp_path: Path) -> None:
    folder = write_checkpoint(make_checkpoint(LLAMA), tmp_path / "m")
    (folder / "added_tokens.json").write_text(json.dumps({"<pad>": 290}))
    decoder = {"0": {"content": "<unk>", "special": True}, "291": {"content": "[INST]", "special": True}}
    config = {"added_tokens_decoder": decoder, "pad_token": "<pad>", "add_eos_token": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    vocabulary = read(folder)
    kinds = [vocabulary.pieces[at].kind for at in (0, 285, 286, 290, 291, 299)]
    assert kinds == [Kind.UNKNOWN, Kind.NORMAL, Kind.UNUSED, Kind.USER_DEFINED, Kind.CONTROL, Kind.UNUSED]
    assert len(vocabulary.pieces) == 300
    assert vocabulary.special["padding"] == 290
    assert (vocabulary.add_bos, vocabulary.add_eos) == (True, True)


def test_several_end_tokens_end_a_turn(tmp_path: Path) -> None:
    folder = write_checkpoint(make_checkpoint(LLAMA | {"eos_token_id": [2, 270]}), tmp_path / "m")
    assert (read(folder).special["eos"], read(folder).special["eot"]) == (2, 270)


@pytest.mark.parametrize(
    ("break_it", "error", "words"),
    [
        (lambda f: (f / "tokenizer.model").write_bytes(b"\x0a\xff\xff\xff\xff\x7f"), ModelBroken, "SentencePiece"),
        (lambda f: (f / "tokenizer.model").write_bytes(b"<html>"), ModelBroken, "SentencePiece"),
        (lambda f: (f / "tokenizer.model").write_bytes(b""), ModelBroken, "no pieces"),
        (lambda f: write_sentencepiece(f / "tokenizer.model", [("a", 0, 1)], kind=1), UsageError, "unigram"),
        (
            lambda f: write_sentencepiece(f / "tokenizer.model", [(f"t{at}", 0, 1) for at in range(301)]),
            ModelBroken,
            "301 tokens",
        ),
        (lambda f: (f / "added_tokens.json").write_text('{"a": -4}'), ModelBroken, "added_tokens.json"),
        (lambda f: (f / "tokenizer_config.json").write_text("[]"), ModelBroken, "tokenizer_config.json"),
    ],
)
def test_broken_tokenizers_are_refused(break_it: object, error: type[Exception], words: str, tmp_path: Path) -> None:
    folder = write_checkpoint(make_checkpoint(LLAMA), tmp_path / "m")
    assert callable(break_it)
    break_it(folder)
    with pytest.raises(error, match=words):
        read(folder)


def test_unknown_splitting_is_refused_and_can_be_named(tmp_path: Path) -> None:
    folder = write_checkpoint(make_checkpoint(LLAMA), tmp_path / "m", tokenizer=False)
    split = {"type": "Split", "pattern": {"Regex": "x+"}, "behavior": "Isolated"}
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}
    (folder / "tokenizer.json").write_text(json.dumps({"model": model, "pre_tokenizer": split}))
    with pytest.raises(UsageError, match="--pre"):
        read(folder)
    assert read_vocabulary(folder, read_config(folder), pre="qwen2").pre == "qwen2"
    (folder / "tokenizer.json").write_text(json.dumps({"model": model | {"type": "WordPiece"}}))
    with pytest.raises(UsageError, match="WordPiece"):
        read(folder)

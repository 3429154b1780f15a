"""Read a `tokenizer.json` of Hugging Face's tokenizers: byte-level BPE, or SentencePiece's BPE with byte fallback.

How text is split before BPE is recognised by the file's own rules; rules that llama.cpp does not know are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fclocal.errors import UsageError
from fclocal.models.vocabulary import MAX_TOKENS, AddedToken, Kind, Piece, Vocabulary, broken, looks_special, read_json

_TAIL: Final = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_HEAD: Final = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
# What the splitting rules of a tokenizer.json are called in llama.cpp; digits that are split singly are \p{N}.
_SPLITTERS: Final[Mapping[tuple[str, ...], str]] = {
    (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"): "deepseek-coder",
    (_HEAD + "{1,3}" + _TAIL,): "llama-bpe",
    (_HEAD + _TAIL,): "qwen2",
    ("gpt-2",): "gpt-2",
    (r"\p{N}", "gpt-2"): "smollm",
}
_BYTE: Final = re.compile(r"<0x[0-9A-F]{2}>")


class _Rule(BaseModel):
    model_config = ConfigDict(extra="ignore")

    type: str
    pretokenizers: tuple[_Rule, ...] = ()
    pattern: dict[str, str] = Field(default_factory=dict)
    individual_digits: bool = False
    use_regex: bool = True


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore")

    type: str | None = None
    vocab: dict[str, int]
    merges: list[str] | list[tuple[str, str]] = Field(default_factory=list)
    byte_fallback: bool = False
    unk_token: str | None = None


class _Processor(BaseModel):
    model_config = ConfigDict(extra="ignore")

    type: str
    processors: tuple[_Processor, ...] = ()
    single: list[dict[str, dict[str, object]]] = Field(default_factory=list)


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore")

    model: _Model
    added_tokens: list[AddedToken] = Field(default_factory=list)
    pre_tokenizer: _Rule | None = None
    post_processor: _Processor | None = None


def read_tokenizer_json(path: Path, *, pre: str = "") -> Vocabulary:
    """The vocabulary of `path`; `pre` overrides what the splitting is recognised as.

    Raises ModelBroken, and UsageError for a tokenizer that is no BPE or splits text in a way that is not known.
    """
    try:
        document = _Document.model_validate(read_json(path) or {})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise broken(path, f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from None
    model = document.model
    if model.type not in ("BPE", None):
        raise UsageError(f"{path.name} is a {model.type} tokenizer; BPE is known.")
    texts = _texts(document, path)
    if model.byte_fallback:
        return _like_sentencepiece(texts, document)
    name = pre or splitter(document.pre_tokenizer)
    if not name:
        raise UsageError(
            f"{path.name} splits text in a way that is not recognised.",
            f"Name it with --pre: {', '.join(known_pre())}.",
        )
    added = {token.id: token for token in document.added_tokens}
    pieces = []
    for number, text in enumerate(texts):
        token = added.get(number)
        special = token is not None and (token.special or looks_special(text))
        kind = Kind.CONTROL if special else Kind.USER_DEFINED if token else Kind.NORMAL
        pieces.append(Piece(text or f"[PAD{number}]", kind if text else Kind.UNUSED))
    merges = tuple(merge if isinstance(merge, str) else " ".join(_escaped(merge)) for merge in model.merges)
    begins = _begins(document.post_processor)
    return Vocabulary("gpt2", name, tuple(pieces), merges, add_bos=begins)


def known_pre() -> tuple[str, ...]:
    """The names of the splitting rules that are recognised."""
    return tuple(dict.fromkeys(_SPLITTERS.values()))


def splitter(rule: _Rule | None) -> str:
    """llama.cpp's name for the splitting that `rule` describes, or an empty string."""
    return _SPLITTERS.get(tuple(_patterns(rule)), "") if rule else ""


def _patterns(rule: _Rule) -> list[str]:
    match rule.type:
        case "Sequence":
            return [pattern for part in rule.pretokenizers for pattern in _patterns(part)]
        case "Split":
            text = rule.pattern.get("Regex", rule.pattern.get("String", ""))
            return [text.replace("\r", r"\r").replace("\n", r"\n")]
        case "Digits":
            return [r"\p{N}" if rule.individual_digits else r"\p{N}+"]
        case "ByteLevel":
            return ["gpt-2"] if rule.use_regex else []
    return [rule.type]


def _texts(document: _Document, path: Path) -> list[str]:
    """The text of every id; an empty one where an id is skipped."""
    pairs = [*document.model.vocab.items(), *((token.content, token.id) for token in document.added_tokens)]
    size = max((number for _, number in pairs), default=-1) + 1
    if not 0 < size <= MAX_TOKENS or any(number < 0 for _, number in pairs):
        raise broken(path, "its tokens have impossible ids")
    texts = [""] * size
    for text, number in pairs:
        if texts[number] not in ("", text):
            raise broken(path, f"the tokens {texts[number][:40]!r} and {text[:40]!r} share the id {number}")
        texts[number] = text
    return texts


def _like_sentencepiece(texts: list[str], document: _Document) -> Vocabulary:
    """The SentencePiece vocabulary that was turned into this file.

    Its scores are lost, but the merges are in their order, and nothing but the order matters.
    """
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(document.model.merges):
        ranks.setdefault(merge.replace(" ", "") if isinstance(merge, str) else "".join(merge), rank)
    added = {token.id: token for token in document.added_tokens}
    unknown = document.model.unk_token or "<unk>"
    pieces, special = [], {}
    for number, text in enumerate(texts):
        token = added.get(number)
        if text == unknown:
            kind, special["unknown"] = Kind.UNKNOWN, number
        elif _BYTE.fullmatch(text):
            kind = Kind.BYTE
        elif token:
            kind = Kind.CONTROL if token.special or looks_special(text) else Kind.USER_DEFINED
        else:
            kind = Kind.NORMAL if text else Kind.UNUSED
        score = 0.0 if kind in _UNSCORED else -float(ranks.get(text, len(ranks) + number))
        pieces.append(Piece(text or f"[PAD{number}]", kind, score))
    ids = {piece.text: number for number, piece in enumerate(pieces)}
    special |= {name: ids[text] for name, text in (("bos", "<s>"), ("eos", "</s>")) if text in ids}
    return Vocabulary("llama", "default", tuple(pieces), special=special)


_UNSCORED: Final = (Kind.UNKNOWN, Kind.BYTE, Kind.CONTROL)


def _begins(processor: _Processor | None) -> bool:
    """Whether the file puts a special token before every text."""
    if processor is None:
        return False
    if processor.type == "TemplateProcessing":
        return bool(processor.single) and "SpecialToken" in processor.single[0]
    return any(_begins(part) for part in processor.processors)


def _escaped(merge: tuple[str, str]) -> tuple[str, str]:
    """Both halves without the blank that GGUF separates them by."""
    return merge[0].replace(" ", "Ġ"), merge[1].replace(" ", "Ġ")

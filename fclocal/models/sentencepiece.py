"""Read the pieces of a SentencePiece `tokenizer.model`. Knows the few protobuf fields that a vocabulary is made of.

Format: sentencepiece_model.proto. ModelProto: 1 pieces, 2 trainer_spec, 3 normalizer_spec. SentencePiece: 1 piece, 2
score, 3 type. TrainerSpec: 3 model_type, 40 unk_id, 41 bos_id, 42 eos_id. NormalizerSpec: 3 add_dummy_prefix.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

from fclocal.errors import UsageError
from fclocal.models.vocabulary import MAX_TOKENS, Kind, Piece, Vocabulary, broken

MAX_FILE: Final = 64 << 20
_BPE: Final = 2
_MODEL_TYPES: Final = {1: "unigram", 3: "word", 4: "char"}

Field: TypeAlias = "tuple[int, int | bytes]"


def read_sentencepiece(path: Path) -> Vocabulary:
    """The vocabulary of `path`. Raises ModelBroken, and UsageError for a kind that llama.cpp's tokenizer is not."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise broken(path, "it is impossibly large")
        return _vocabulary(path.read_bytes(), path)
    except (ValueError, IndexError, struct.error, UnicodeDecodeError):
        raise broken(path, "it is no SentencePiece model") from None


def _vocabulary(data: bytes, path: Path) -> Vocabulary:
    pieces: list[Piece] = []
    special: dict[str, int] = {}
    for number, value in _fields(data):
        match number, value:
            case 1, bytes():
                pieces.append(_piece(value))
            case 2, bytes():
                trainer = {key: item for key, item in _fields(value) if isinstance(item, int)}
                kind = trainer.get(3, _BPE)
                if kind != _BPE:
                    name = _MODEL_TYPES.get(kind, str(kind))
                    raise UsageError(f"{path.name} is a SentencePiece model of kind {name}.", "Llama models use BPE.")
    if not pieces or len(pieces) > MAX_TOKENS:
        raise broken(path, "it holds no pieces" if not pieces else "it holds too many pieces")
    texts = {piece.text: number for number, piece in enumerate(pieces)}
    special |= {name: texts[text] for name, text in (("bos", "<s>"), ("eos", "</s>")) if text in texts}
    unknown = next((number for number, piece in enumerate(pieces) if piece.kind == Kind.UNKNOWN), None)
    special |= {} if unknown is None else {"unknown": unknown}
    return Vocabulary("llama", "default", tuple(pieces), special=special)


def _piece(data: bytes) -> Piece:
    text, score, kind = "", 0.0, Kind.NORMAL
    for number, value in _fields(data):
        match number, value:
            case 1, bytes():
                text = value.decode("utf-8")
            case 2, bytes():
                score = struct.unpack("<f", value)[0]
            case 3, int():
                kind = Kind(value)
    return Piece(text, kind, score)


def _fields(data: bytes) -> Iterator[Field]:
    """(field number, value) of a message: an int for a varint, else the bytes. Raises ValueError and IndexError."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                value, at = _varint(data, at)
                yield tag >> 3, value
                continue
            case 1:
                size = 8
            case 5:
                size = 4
            case 2:
                size, at = _varint(data, at)
            case _:
                raise ValueError("unknown wire type")
        if at + size > len(data):
            raise ValueError("the message ends early")
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("the number is too long")

"""The tokenizer of a GGUF as a value, and what tokenizer_config.json and its companions say about special tokens.

Reads the small JSON files of a checkpoint; the pieces themselves come from sentencepiece.py or tokenizer_json.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fclocal.errors import ModelBroken

MAX_JSON: Final = 64 << 20
MAX_TOKENS: Final = 1 << 22
ADDED_SCORE: Final = -1000.0


class Kind(IntEnum):
    """What a token is; the numbers are those of SentencePiece and of GGUF."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, slots=True)
class Piece:
    """One token; `score` is the log probability or the rank of a merge, and matters to SentencePiece only."""

    text: str
    kind: Kind = Kind.NORMAL
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A tokenizer as GGUF stores it.

    `model` is `llama` (SentencePiece) or `gpt2` (byte-level BPE), `pre` how text is split before, `special` maps bos,
    eos, unknown, padding, eot, fim_pre, fim_suf and fim_mid to ids.
    """

    model: str
    pre: str
    pieces: tuple[Piece, ...]
    merges: tuple[str, ...] = ()
    special: Mapping[str, int] = field(default_factory=dict)
    add_bos: bool = True
    add_eos: bool = False
    add_space_prefix: bool | None = None
    chat_template: str = ""


class AddedToken(BaseModel):
    """A token that was added to a vocabulary, as tokenizer.json and tokenizer_config.json list it."""

    content: str
    id: int = -1
    special: bool = False


class TokenizerConfig(BaseModel):
    """tokenizer_config.json, as far as it matters here."""

    model_config = ConfigDict(extra="ignore")

    add_bos_token: bool | None = None
    add_eos_token: bool | None = None
    add_prefix_space: bool | None = None
    added_tokens_decoder: dict[Annotated[int, Field(ge=0, lt=MAX_TOKENS)], AddedToken] = Field(default_factory=dict)
    bos_token: str | AddedToken | None = None
    eos_token: str | AddedToken | None = None
    unk_token: str | AddedToken | None = None
    pad_token: str | AddedToken | None = None
    chat_template: str | list[dict[str, str]] | None = None

    @property
    def template(self) -> str:
        """The chat template, the default one of several."""
        if isinstance(self.chat_template, list):
            named = {one.get("name", ""): one.get("template", "") for one in self.chat_template}
            return named.get("default") or next(iter(named.values()), "")
        return self.chat_template or ""

    @property
    def named(self) -> dict[str, str]:
        """Text of each special token, under GGUF's names."""
        found = {"bos": self.bos_token, "eos": self.eos_token, "unknown": self.unk_token, "padding": self.pad_token}
        return {
            name: token.content if isinstance(token, AddedToken) else token for name, token in found.items() if token
        }


@dataclass(frozen=True, slots=True)
class Companions:
    """The files beside a tokenizer: its config, tokens added to it (id -> token), and a chat template."""

    config: TokenizerConfig
    added: Mapping[int, AddedToken]
    template: str


def read_companions(folder: Path) -> Companions:
    """Read tokenizer_config.json, added_tokens.json and chat_template.jinja where they exist. Raises ModelBroken."""
    path = folder / "tokenizer_config.json"
    try:
        config = TokenizerConfig.model_validate(read_json(path) or {})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise broken(path, f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from None
    added: dict[int, AddedToken] = {}
    path = folder / "added_tokens.json"
    listed = read_json(path) or {}
    for text, number in listed.items():
        if not isinstance(number, int) or not 0 <= number < MAX_TOKENS:
            raise broken(path, f"{text[:40]!r} has no possible id")
        added[number] = AddedToken(content=text, id=number, special=looks_special(text))
    added |= config.added_tokens_decoder
    template = folder / "chat_template.jinja"
    text = template.read_text("utf-8", "replace") if template.exists() and template.stat().st_size < MAX_JSON else ""
    return Companions(config, added, text or config.template)


def finished(
    vocabulary: Vocabulary, companions: Companions, *, size: int, bos: int | None, eos: Sequence[int]
) -> Vocabulary:
    """The vocabulary with its added tokens, padded to `size`, and its special tokens found.

    `bos` and `eos` are those of config.json: they count where tokenizer_config.json names none; further ones of `eos`
    end a turn. Raises ModelBroken when there are more tokens than the model has rows for.
    """
    pieces = _with_added(vocabulary, companions.added)
    if len(pieces) > size:
        raise ModelBroken(
            f"The tokenizer has {len(pieces):,} tokens; the model has {size:,}.", "They belong to different models."
        )
    pieces += [Piece(f"[PAD{number}]", Kind.UNUSED, ADDED_SCORE) for number in range(len(pieces), size)]
    ids = {piece.text: number for number, piece in reversed(list(enumerate(pieces))) if piece.kind != Kind.UNUSED}
    stated = {name: ids[text] for name, text in companions.config.named.items() if text in ids}
    from_config = {"bos": bos, "eos": eos[0] if eos else None}
    special = {name: number for name, number in from_config.items() if number is not None and 0 <= number < size}
    special = dict(vocabulary.special) | special | stated
    further = [number for number in eos if number != special.get("eos") and 0 <= number < size]
    special |= {"eot": further[0]} if further else {}
    special |= {name: ids[text] for name, text in _INFILL.items() if text in ids}
    for number in (special.get("bos"), special.get("eos")):
        if number is not None and pieces[number].kind in (Kind.NORMAL, Kind.USER_DEFINED):
            pieces[number] = replace(pieces[number], kind=Kind.CONTROL)
    config = companions.config
    return replace(
        vocabulary,
        pieces=tuple(pieces),
        special=special,
        add_bos=vocabulary.add_bos if config.add_bos_token is None else config.add_bos_token,
        add_eos=vocabulary.add_eos if config.add_eos_token is None else config.add_eos_token,
        add_space_prefix=config.add_prefix_space if vocabulary.model == "llama" else None,
        chat_template=companions.template,
    )


def read_json(path: Path) -> dict[str, object] | None:
    """The object in `path`, or None when there is no such file. Raises ModelBroken."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise broken(path, "it is impossibly large")
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise broken(path, f"it is no JSON ({str(error)[:80]})") from None
    if not isinstance(document, dict):
        raise broken(path, "it is no JSON object")
    return document


def broken(path: Path, fault: str) -> ModelBroken:
    """The error for a tokenizer file that cannot be used."""
    return ModelBroken(f"{path.name} cannot be used: {fault.rstrip('.')}.", "Download it again.")


def looks_special(text: str) -> bool:
    """Whether a token is written as models write control tokens, whatever its file says: <|name|> or <｜name｜>."""
    return text.startswith(("<|", "<｜")) and text.endswith(("|>", "｜>"))


# CodeLlama's tokens for filling in the middle.
_INFILL: Final[Mapping[str, str]] = {"fim_pre": "▁<PRE>", "fim_suf": "▁<SUF>", "fim_mid": "▁<MID>", "eot": "▁<EOT>"}


def _with_added(vocabulary: Vocabulary, added: Mapping[int, AddedToken]) -> list[Piece]:
    pieces = list(vocabulary.pieces)
    for number, token in sorted(added.items()):
        if number >= len(pieces):
            # Ids without a token stay unused.
            pieces += [Piece(f"[PAD{at}]", Kind.UNUSED, ADDED_SCORE) for at in range(len(pieces), number + 1)]
        present = pieces[number]
        if present.text == token.content and present.kind in (Kind.UNKNOWN, Kind.CONTROL, Kind.BYTE):
            continue
        special = token.special or looks_special(token.content)
        kind = Kind.CONTROL if special else Kind.USER_DEFINED
        # A piece that is only listed again keeps its score, which decides how text is split.
        score = present.score if present.text == token.content else ADDED_SCORE
        text = token.content if special else token.content.replace("\u2581", " ")
        pieces[number] = Piece(text, kind, score)
    return pieces

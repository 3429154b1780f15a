"""The context ledger: prompt segments to tokens, and exactly how many each part takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fclocal.dialects.dialect import Segment
from fclocal.errors import ContextFull

MIN_REPLY = 16


class Tokenizer(Protocol):
    """What the ledger needs of an engine."""

    @property
    def context(self) -> int: ...
    @property
    def special_texts(self) -> frozenset[str]: ...
    def bos(self) -> tuple[int, ...]: ...
    def tokenize(self, text: str, *, special: bool) -> tuple[int, ...]: ...
    def detokenize(self, tokens: Sequence[int]) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Ledger:
    """A tokenised prompt. `parts` maps each part, in prompt order, to its tokens; they add up to `len(tokens)`."""

    tokens: tuple[int, ...]
    parts: Mapping[str, int]
    stable: int
    text: str


def ledger(segments: Sequence[Segment], tokenizer: Tokenizer) -> Ledger:
    """Tokenise a prompt.

    Control tokens come only from trusted segments. All other text is tokenised in one run across segment borders,
    because a model was trained on the merges that cross them (`[INST] ` + `Hello`). A token belongs to the part
    in which its first byte lies. `stable` counts the leading tokens of the functions part.
    """
    bos = tokenizer.bos()
    tokens = list(bos)
    parts: dict[str, int] = {"markers": len(bos)} if bos else {}
    stable = 0
    for run in _runs(segments, tokenizer.special_texts):
        ids = tokenizer.tokenize("".join(text for text, _ in run.pieces), special=run.special)
        owners = _owners(ids, run.pieces, tokenizer)
        for part in owners:
            parts[part] = parts.get(part, 0) + 1
        if stable == len(tokens) - len(bos):
            stable += next((at for at, part in enumerate(owners) if part != "functions"), len(owners))
        tokens += ids
    prompt = "".join(segment.text for segment in segments)
    return Ledger(tuple(tokens), parts, stable + len(bos) if stable else 0, prompt)


def refuse_overflow(book: Ledger, *, context: int, reserve: int = 0) -> None:
    """Raise ContextFull, naming the largest parts, when the prompt leaves no room for a reply."""
    need = len(book.tokens) + max(MIN_REPLY, reserve)
    if need <= context:
        return
    largest = sorted(book.parts.items(), key=lambda item: -item[1])[:4]
    listed = ", ".join(f"{part} {count}" for part, count in largest)
    raise ContextFull(
        f"The prompt takes {len(book.tokens)} tokens and the context holds {context}, "
        f"of which a reply needs {need - len(book.tokens)} (largest parts: {listed}).",
        "Shorten the largest part, offer fewer functions, or raise --context.",
        parts=book.parts,
    )


@dataclass(frozen=True, slots=True)
class _Run:
    pieces: tuple[tuple[str, str], ...]
    special: bool


def _runs(segments: Sequence[Segment], special_texts: frozenset[str]) -> list[_Run]:
    """Split into control tokens (found in trusted text only) and everything between them."""
    longest_first = sorted((re.escape(text) for text in special_texts if text), key=len, reverse=True)
    control = re.compile("(" + "|".join(longest_first) + ")") if longest_first else None
    runs: list[_Run] = []
    plain: list[tuple[str, str]] = []
    for segment in segments:
        cut = control.split(segment.text) if control and segment.trusted else [segment.text]
        for index, text in enumerate(cut):
            if index % 2:
                if plain:
                    runs.append(_Run(tuple(plain), special=False))
                    plain = []
                runs.append(_Run(((text, segment.part),), special=True))
            elif text:
                plain.append((text, segment.part))
    if plain:
        runs.append(_Run(tuple(plain), special=False))
    return runs


def _owners(ids: Sequence[int], pieces: Sequence[tuple[str, str]], tokenizer: Tokenizer) -> list[str]:
    """The part of each token. A vocabulary may put a space before the text: those bytes go to the first part."""
    ends: list[tuple[int, str]] = []
    total = 0
    for text, part in pieces:
        total += len(text.encode("utf-8", "replace"))
        ends.append((total, part))
    sizes = [len(tokenizer.detokenize((token,))) for token in ids]
    at = total - sum(sizes)
    owners: list[str] = []
    index = 0
    for size in sizes:
        while index < len(ends) - 1 and at >= ends[index][0]:
            index += 1
        owners.append(ends[index][1])
        at += size
    return owners

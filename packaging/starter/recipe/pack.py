"""Trees to rows of tokens with position, tree, conversation, target and weight. Knows numpy, not torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np
import numpy.typing as npt

from recipe.conversation import Exchange
from recipe.tokens import BOS, EOS, load
from recipe.tree import Source, Tree

FIRST_WEIGHT = 4.0
PROMPT_WEIGHT = 0.1
PROMPT_SHARE = 0.12


@dataclass(slots=True)
class Row:
    """Parallel lists of one row. Conversation 0 is the block of its tree."""

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    trees: list[int] = field(default_factory=list)
    branches: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def extend(
        self, rng: Random, tokens: Sequence[int], first: int, tree: int, branch: int, weights: Sequence[float]
    ) -> None:
        """Add a run of tokens; weights[i] is for predicting tokens[i]."""
        count = len(tokens)
        self.tokens += tokens
        self.positions += range(first, first + count)
        self.trees += [tree] * count
        self.branches += [branch] * count
        self.targets += [*tokens[1:], 0]
        shifted = [*weights[1:], 0.0]
        self.weights += [
            weight or (PROMPT_WEIGHT if index < count - 1 and rng.random() < PROMPT_SHARE else 0.0)
            for index, weight in enumerate(shifted)
        ]


def encode(text: str, marks: Sequence[str] = ()) -> list[int]:
    """Token ids; each of `marks` is one token behind the vocabulary (for experiments, the starter has none)."""
    if not marks:
        return list(load().encode(text).ids)
    size = load().get_vocab_size()
    parts = re.split("(" + "|".join(map(re.escape, marks)) + ")", text)
    return [
        token for part in parts for token in ([size + marks.index(part)] if part in marks else load().encode(part).ids)
    ]


def conversation_tokens(exchanges: Sequence[Exchange], marks: Sequence[str]) -> tuple[list[int], list[float]]:
    tokens: list[int] = []
    weights: list[float] = []
    for exchange in exchanges:
        prompt, reply = encode(exchange.prompt, marks), [*encode(exchange.reply, marks), EOS]
        tokens += prompt + reply
        weights += [0.0] * len(prompt) + [FIRST_WEIGHT] + [1.0] * (len(reply) - 1)
    return tokens, weights


def add_tree(rng: Random, row: Row, tree: Tree, number: int, length: int, marks: Sequence[str]) -> bool:
    """Add as many conversations as fit; False when the block leaves no room."""
    head = [BOS, *encode(tree.block, marks)] if tree.block else [BOS]
    room = length - len(row.tokens) - len(head)
    if room < 60:
        return False
    built = [conversation_tokens(exchanges, marks) for exchanges in tree.conversations]
    fitting = []
    for tokens, weights in built:
        if len(tokens) <= room:
            fitting.append((tokens, weights))
            room -= len(tokens)
    if not fitting or (len(head) > 200 and len(fitting) < 3):
        return False
    row.extend(rng, head, 0, number, 0, [0.0] * len(head))
    for branch, (tokens, weights) in enumerate(fitting, start=1):
        row.extend(rng, tokens, len(head), number, branch, weights)
    return True


def make_row(rng: Random, source: Source, length: int, most: int, marks: Sequence[str] = ()) -> Row:
    """A row of one or more trees with up to `most` functions each."""
    row = Row()
    number = 0
    misses = 0
    while length - len(row.tokens) > 220 and misses < 8:
        space = length - len(row.tokens)
        count = rng.choices(range(1, most + 1), [3, 4, 4, 4, 3, 3, 2, 2][:most])[0]
        count = max(1, min(count, space // 150))
        if add_tree(rng, row, source.tree(rng, count, max(4, min(16, space // 70))), number, length, marks):
            number += 1
        else:
            misses += 1
    return row


def arrays(rows: Sequence[Row], length: int) -> dict[str, npt.NDArray[np.generic]]:
    """Rows padded to `length`: tokens, positions, trees (-1 is padding), branches, targets, weights."""
    made: dict[str, npt.NDArray[np.generic]] = {}
    for name, kind, fill in (
        ("tokens", np.int16, 0),
        ("positions", np.int16, 0),
        ("trees", np.int8, -1),
        ("branches", np.int8, 0),
        ("targets", np.int16, 0),
        ("weights", np.float16, 0),
    ):
        table = np.full((len(rows), length), fill, dtype=kind)
        for index, row in enumerate(rows):
            values = getattr(row, name)
            table[index, : len(values)] = values
        made[name] = table
    return made

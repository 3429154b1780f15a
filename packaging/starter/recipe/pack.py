"""Trees to rows of tokens with position, tree, conversation, target, weight and places to look at. Knows no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np
import numpy.typing as npt

from recipe.conversation import Exchange
from recipe.pieces import CALL
from recipe.pointers import NO_TOKEN, pointers
from recipe.sources import FIRST_FUNCTION, NOWHERE, USER, Groups, block_groups, groups_of, look
from recipe.tokens import BOS, encode, piece_ids
from recipe.tree import Source, Tree

# Where a question or a refusal begins weighs more than where a call does: without that, the model calls too readily.
FIRST_WEIGHT, FIRST_OF_TEXT = 4.0, 4.5
NAME_WEIGHT, KEY_WEIGHT, VALUE_WEIGHT, ASKED_WEIGHT = 6.0, 2.0, 5.0, 4.0
# Behind a value: whether one more argument was given.
NEXT_WEIGHT = 2.0
PROMPT_WEIGHT = 0.1
PROMPT_SHARE = 0.12
CALL_BEGINS, *ARGUMENTS_BEGIN = (piece_ids()[piece] for piece in CALL[:3])
VALUE_BEGINS = {piece_ids()[piece] for piece in CALL[3:7]}
VALUE_ENDS = {piece_ids()[piece] for piece in CALL[7:]}
# Of the conversations of one turn, so many end behind the function's name, or behind the first words of a text:
# choosing is learned last, and what follows is learned long before.
BRIEF = 0.1
# As many tokens of a text as lead to the name of the argument that is asked for.
BRIEF_WORDS = 4


@dataclass(frozen=True, slots=True)
class Run:
    """Tokens of a block or a conversation. `weights`, `selects` and `copies` are for predicting the token beside them;
    `groups` says what the token is a part of. `copies` counts from the begin of the block."""

    tokens: list[int]
    groups: list[int]
    weights: list[float]
    selects: list[int]
    copies: list[int]


@dataclass(slots=True)
class Row:
    """Parallel lists of one row. Conversation 0 is the block of its tree."""

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    trees: list[int] = field(default_factory=list)
    branches: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    selects: list[int] = field(default_factory=list)
    copies: list[int] = field(default_factory=list)

    def extend(self, rng: Random, run: Run, block: int, first: int, tree: int, branch: int) -> None:
        """Add a run whose first token has the position `first`; its block begins at the row's token `block`."""
        count = len(run.tokens)
        behind = len(self.tokens) - first
        self.tokens += run.tokens
        self.groups += run.groups
        self.positions += range(first, first + count)
        self.trees += [tree] * count
        self.branches += [branch] * count
        self.targets += [*run.tokens[1:], 0]
        self.selects += [*run.selects[1:], NOWHERE]
        self.copies += [place and place + (block if place < first else behind) for place in (*run.copies[1:], NO_TOKEN)]
        self.weights += [
            weight or (PROMPT_WEIGHT if index < count - 1 and rng.random() < PROMPT_SHARE else 0.0)
            for index, weight in enumerate([*run.weights[1:], 0.0])
        ]


def block_run(block: str) -> Run:
    tokens = [BOS, *encode(block)]
    nothing = [NOWHERE] * len(tokens)
    return Run(tokens, block_groups(tokens), [0.0] * len(tokens), nothing, nothing)


def conversation_run(exchanges: Sequence[Exchange], head: Run, groups: Groups, *, brief: bool) -> Run:
    """A conversation behind the block `head` whose functions have `groups`; only up to the choice when it is to be
    `brief`."""
    run = Run([], [], [], [], [])
    for exchange in exchanges:
        prompt, reply = encode(exchange.prompt), look(exchange, groups)
        run.tokens.extend(prompt)
        run.groups.extend([USER] * len(prompt))
        found = pointers(reply, head.tokens + run.tokens, head.groups + run.groups)
        run.tokens.extend(reply.tokens)
        run.groups.extend([NOWHERE] * len(reply.tokens))
        run.selects.extend([NOWHERE] * len(prompt) + reply.selects)
        run.copies.extend([NO_TOKEN] * len(prompt) + found)
        weights = [1.0] * len(reply.tokens)
        for index, sources in enumerate(reply.copies):
            if sources and sources[0] >= FIRST_FUNCTION and not reply.copies[index - 1]:
                in_call = NAME_WEIGHT if reply.tokens[index - 1] == CALL_BEGINS else KEY_WEIGHT
                weights[index] = ASKED_WEIGHT if exchange.kind == "ask" else in_call
            elif index and reply.tokens[index - 1] in VALUE_BEGINS:
                weights[index] = VALUE_WEIGHT
            elif reply.tokens[index] in VALUE_ENDS:
                weights[index] = NEXT_WEIGHT
        weights[0] = FIRST_OF_TEXT if exchange.kind in {"ask", "no_fit", "talk"} else FIRST_WEIGHT
        run.weights.extend([0.0] * len(prompt) + weights)
    if not brief or len(exchanges) > 1:
        return run
    behind_name = (index + 1 for index, token in enumerate(reply.tokens) if token in ARGUMENTS_BEGIN)
    end = len(prompt) + next(behind_name, BRIEF_WORDS)
    return Run(run.tokens[:end], run.groups[:end], run.weights[:end], run.selects[:end], run.copies[:end])


def add_tree(rng: Random, row: Row, tree: Tree, number: int, length: int) -> bool:
    """Add as many conversations as fit; False when the block leaves no room."""
    head = block_run(tree.block)
    room = length - len(row.tokens) - len(head.tokens)
    if room < 60:
        return False
    groups = groups_of(tree.functions)
    fitting = []
    for exchanges in tree.conversations:
        run = conversation_run(exchanges, head, groups, brief=rng.random() < BRIEF)
        if len(run.tokens) <= room:
            fitting.append(run)
            room -= len(run.tokens)
    if not fitting or (len(head.tokens) > 100 and len(fitting) < 3):
        return False
    block = len(row.tokens)
    row.extend(rng, head, block, 0, number, 0)
    for branch, run in enumerate(fitting, start=1):
        row.extend(rng, run, block, len(head.tokens), number, branch)
    return True


def make_row(rng: Random, source: Source, length: int, most: int) -> Row:
    """A row of one or more trees with up to `most` functions each."""
    row = Row()
    number = 0
    misses = 0
    while length - len(row.tokens) > 120 and misses < 8:
        space = length - len(row.tokens)
        count = rng.choices(range(1, most + 1), [2, 3, 4, 4, 4, 3, 2, 2][:most])[0]
        count = max(1, min(count, space // 70))
        tree = source.tree(rng, count, max(4, min(28, (space - 46 * count) // 36)))
        if add_tree(rng, row, tree, number, length):
            number += 1
        else:
            misses += 1
    return row


def arrays(rows: Sequence[Row], length: int) -> dict[str, npt.NDArray[np.generic]]:
    """Rows padded to `length`: tokens, positions, trees (-1 is padding), branches, targets, weights, groups, selects,
    copies."""
    made: dict[str, npt.NDArray[np.generic]] = {}
    for name, kind, fill in (
        ("tokens", np.int16, 0),
        ("positions", np.int16, 0),
        ("trees", np.int8, -1),
        ("branches", np.int8, 0),
        ("targets", np.int16, 0),
        ("weights", np.float16, 0),
        ("groups", np.int16, NOWHERE),
        ("selects", np.int16, NOWHERE),
        ("copies", np.int16, NO_TOKEN),
    ):
        table = np.full((len(rows), length), fill, dtype=kind)
        for index, row in enumerate(rows):
            values = getattr(row, name)
            table[index, : len(values)] = values
        made[name] = table
    return made

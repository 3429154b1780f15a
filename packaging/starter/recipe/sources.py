"""Where each token of a reply comes from: the function it is about, and the text it repeats. Knows tokens, no tensors.

The trainer shows two attention heads these places (see learning.py): a head that chooses a function and a head that
copies. What the places are is known here, because the conversation was made here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from recipe.conversation import Exchange
from recipe.pieces import PIECES
from recipe.render import call
from recipe.tokens import EOS, encode, piece_ids, token_bytes

# Groups of tokens to look at: nothing, the begin of the text (no function fits), the user's turns, functions from 3 on.
NOWHERE, BEGIN, USER, FIRST_FUNCTION = 0, 1, 2, 3
OPENERS = frozenset(piece_ids()[piece] for piece in PIECES if piece.endswith('{\n    "function": "'))
MARKUP = frozenset(piece_ids().values()) | {encode('"')[0], encode("]")[0], encode("\n")[0]}


@dataclass(frozen=True, slots=True)
class Look:
    """For a reply's tokens, end token included: the group of the function chosen, and the group to copy from."""

    tokens: list[int]
    selects: list[int]
    copies: list[int]


def block_groups(tokens: Sequence[int]) -> list[int]:
    """The group of each token of a block that begins with the begin token."""
    groups: list[int] = []
    group = BEGIN
    for token in tokens:
        if token in OPENERS:
            group = FIRST_FUNCTION if group == BEGIN else group + 1
        groups.append(group)
    return groups


def look(exchange: Exchange, groups: dict[str, int]) -> Look:
    """Where the reply comes from; `groups` has the group of every offered function's name."""
    tokens = [*encode(exchange.reply), EOS]
    if exchange.kind in {"call", "calls"}:
        return of_calls(exchange.reply, tokens, groups)
    copies, selects = [NOWHERE] * len(tokens), [NOWHERE] * len(tokens)
    if exchange.kind == "ask":
        return of_question(exchange, tokens, groups[exchange.function])
    if exchange.kind == "answer":
        copies = [NOWHERE if token in MARKUP or token == EOS else USER for token in tokens]
    else:
        selects[0] = BEGIN
    return Look(tokens, selects, copies)


def of_question(exchange: Exchange, tokens: list[int], group: int) -> Look:
    """The argument's name comes from the function's metadata, when the question has it."""
    start = exchange.reply.find(f'"{exchange.argument}"') + 1
    named = range(start, start + len(exchange.argument)) if start else range(0)
    selects, copies = [], []
    at = 0
    for token in tokens:
        selects.append(NOWHERE if token == EOS else group)
        copies.append(group if at in named and token != EOS else NOWHERE)
        at += len(token_bytes(token))
    return Look(tokens, selects, copies)


def of_calls(reply: str, tokens: list[int], groups: dict[str, int]) -> Look:
    """Names and keys come from the function's own metadata, values from what the user said (or, in words that the user
    did not say, from the metadata: pack.py sees which)."""
    places: list[tuple[int, int]] = []  # (group chosen, group to copy from) of each byte
    for line in reply.split("\n"):
        data = json.loads(line)
        group = groups[data["function"]]
        parts = [
            ('{"function": "', group, NOWHERE),
            (data["function"], group, group),
            ('", "arguments": {', group, NOWHERE),
        ]
        for index, (key, value) in enumerate(data["arguments"].items()):
            parts += [(', "' if index else '"', group, NOWHERE), (key, group, group), ('": ', group, NOWHERE)]
            parts.append((json.dumps(value, ensure_ascii=False), group, USER))
        parts += [("}}", group, NOWHERE), ("\n", NOWHERE, NOWHERE)]
        assert "".join(text for text, _, _ in parts) == line + "\n" == call(data["function"], data["arguments"]) + "\n"
        places += [(chosen, source) for text, chosen, source in parts for _ in text.encode()]
    selects, copies = [], []
    at = 0
    for token in tokens:
        chosen, source = places[at] if token != EOS else (NOWHERE, NOWHERE)
        selects.append(chosen)
        copies.append(NOWHERE if token in MARKUP else source)
        at += len(token_bytes(token))
    return Look(tokens, selects, copies)

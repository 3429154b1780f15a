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
Part = tuple[str, tuple[int, ...]]  # text of a reply, groups to copy it from
Place = tuple[int, tuple[int, ...]]  # group chosen and groups to copy from, at one byte of a reply
OPENERS = frozenset(piece_ids()[piece] for piece in PIECES if piece.endswith('{\n    "function": "'))
MARKUP = frozenset(piece_ids().values()) | {encode('"')[0], encode("]")[0], encode("\n")[0]}


@dataclass(frozen=True, slots=True)
class Look:
    """For a reply's tokens, end token included: the group of the function chosen, and the groups that may have the
    token to copy, the best first."""

    tokens: list[int]
    selects: list[int]
    copies: list[tuple[int, ...]]


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
    if exchange.kind == "ask":
        return of_question(exchange, tokens, groups[exchange.function])
    if exchange.kind == "answer":
        copies = [() if token in MARKUP or token == EOS else (USER,) for token in tokens]
        return Look(tokens, [NOWHERE] * len(tokens), copies)
    return Look(tokens, [BEGIN] + [NOWHERE] * (len(tokens) - 1), [()] * len(tokens))


def of_question(exchange: Exchange, tokens: list[int], group: int) -> Look:
    """The argument's name comes from the function's metadata, when the question has it."""
    before, name, after = exchange.reply.partition(f'"{exchange.argument}"')
    parts: list[Part] = [(before, ()), (name[:1], ()), (name[1:-1], (group,)), (name[-1:], ()), (after, ())]
    return placed(tokens, [(group, sources) for text, sources in parts for _ in text.encode()])


def of_calls(reply: str, tokens: list[int], groups: dict[str, int]) -> Look:
    """Names and keys come from the function's own metadata; values from what the user said, and words that the user did
    not say from the choices in the metadata."""
    places: list[Place] = []
    for line in reply.split("\n"):
        data = json.loads(line)
        group = groups[data["function"]]
        parts: list[Part] = [
            ('{"function": "', ()),
            (data["function"], (group,)),
            ('", "arguments": {', ()),
        ]
        for index, (key, value) in enumerate(data["arguments"].items()):
            parts += [(', "' if index else '"', ()), (key, (group,)), ('": ', ())]
            parts.append((json.dumps(value, ensure_ascii=False), (USER, group) if isinstance(value, str) else (USER,)))
        parts += [("}}", ()), ("\n", ())]
        assert "".join(text for text, _ in parts) == line + "\n" == call(data["function"], data["arguments"]) + "\n"
        places += [(group, sources) for text, sources in parts for _ in text.encode()]
    return placed(tokens, places)


def placed(tokens: list[int], places: Sequence[Place]) -> Look:
    """The places of the bytes at which the tokens begin. Only letters have a second place to be copied from."""
    selects, copies = [], list[tuple[int, ...]]()
    at = 0
    for token in tokens:
        chosen, sources = places[at] if token != EOS else (NOWHERE, ())
        selects.append(chosen)
        copies.append(() if token in MARKUP else sources if token_bytes(token).isalpha() else sources[:1])
        at += len(token_bytes(token))
    return Look(tokens, selects, copies)

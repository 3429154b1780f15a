"""Where each token of a reply comes from: the function it is about, and the text it repeats. Knows tokens, no tensors.

The trainer shows two attention heads these places (see learning.py): a head that chooses a function and a head that
copies. What the places are is known here, because the conversation was made here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from recipe.conversation import Exchange
from recipe.functions import Function
from recipe.pieces import IN_ENTRY, PIECES
from recipe.render import call
from recipe.tokens import EOS, encode, piece_ids, token_bytes

# Groups of tokens to look at: nothing, the begin of the text (no function fits), the user's turns, functions. A
# function has SPAN numbers, the first for itself and the others for its arguments; the first stands for all of them.
SPAN = 16
NOWHERE, BEGIN, USER, FIRST_FUNCTION = 0, SPAN, 2 * SPAN, 3 * SPAN
Groups = dict[str, dict[str, int]]  # function -> argument -> group; "" is the function's own
Part = tuple[str, int, tuple[int, ...]]  # text of a reply, the group chosen, groups to copy it from
OPENERS = frozenset(piece_ids()[piece] for piece in PIECES if piece.endswith('{\n    "function": "'))
ENTRY_OPENERS = frozenset(piece_ids()[piece] for piece in PIECES if piece.endswith(IN_ENTRY + '"name": "'))
MARKUP = frozenset(piece_ids().values()) | {encode('"')[0], encode("]")[0], encode("\n")[0]}


@dataclass(frozen=True, slots=True)
class Look:
    """For a reply's tokens, end token included: the group chosen (a function, an argument of it), and the groups that
    may have the token to copy, the best first."""

    tokens: list[int]
    selects: list[int]
    copies: list[tuple[int, ...]]


def whole(group: int) -> int:
    """The group of the function that an argument's group belongs to."""
    return group - group % SPAN


def block_groups(tokens: Sequence[int]) -> list[int]:
    """The group of each token of a block that begins with the begin token."""
    groups: list[int] = []
    group = BEGIN
    for token in tokens:
        if token in OPENERS:
            group = FIRST_FUNCTION if group == BEGIN else whole(group) + SPAN
        elif token in ENTRY_OPENERS:
            group = next_argument(group)
        groups.append(group)
    return groups


def next_argument(group: int) -> int:
    """The group of the argument behind; one that has none left is the last one's."""
    return min(group + 1, whole(group) + SPAN - 1)


def groups_of(functions: Sequence[Function]) -> Groups:
    """The groups that block_groups gives to functions and their arguments."""
    found: Groups = {}
    for index, function in enumerate(functions):
        group = FIRST_FUNCTION + SPAN * index
        found[function.name] = {"": group}
        for argument in function.arguments:
            group = next_argument(group)
            found[function.name][argument.name] = group
    return found


def look(exchange: Exchange, groups: Groups) -> Look:
    """Where the reply comes from."""
    tokens = [*encode(exchange.reply), EOS]
    if exchange.kind in {"call", "calls"}:
        return placed(tokens, [part for line in exchange.reply.split("\n") for part in of_call(line, groups)])
    if exchange.kind == "ask":
        return placed(tokens, of_question(exchange, groups[exchange.function]))
    if exchange.kind == "answer":
        return placed(tokens, [(exchange.reply, NOWHERE, (USER,))])
    return Look(tokens, [BEGIN] + [NOWHERE] * (len(tokens) - 1), [()] * len(tokens))


def of_question(exchange: Exchange, groups: dict[str, int]) -> list[Part]:
    """The argument's name comes from the function's metadata, when the question has it."""
    function, argument = groups[""], groups[exchange.argument]
    before, name, after = exchange.reply.partition(f'"{exchange.argument}"')
    names: list[Part] = [(name[:1], function, ()), (name[1:-1], argument, (function,)), (name[-1:], function, ())]
    return [(before, function, ()), *(names if name else []), (after, function, ())]


def of_call(line: str, groups: Groups) -> list[Part]:
    """Names and keys come from the function's own metadata; values from what the user said, and words that the user did
    not say from the choices in the metadata. What to say for an argument is chosen with its description."""
    data = json.loads(line)
    arguments = groups[data["function"]]
    function = arguments[""]
    parts: list[Part] = [
        ('{"function": "', function, ()),
        (data["function"], function, (function,)),
        ('", "arguments": {', function, ()),
    ]
    for index, (key, value) in enumerate(data["arguments"].items()):
        sources = (USER, function) if isinstance(value, str) else (USER,)
        parts += [
            (', "' if index else '"', function, ()),
            (key, function, (function,)),
            ('": ', arguments[key], ()),
            (json.dumps(value, ensure_ascii=False), arguments[key], sources),
        ]
    parts += [("}}", function, ()), ("\n", function, ())]
    assert "".join(text for text, _, _ in parts) == line + "\n" == call(data["function"], data["arguments"]) + "\n"
    return parts


def placed(tokens: list[int], parts: Sequence[Part]) -> Look:
    """The places of the bytes at which the tokens begin."""
    places = [(chosen, sources) for text, chosen, sources in parts for _ in text.encode()]
    selects, copies = [], list[tuple[int, ...]]()
    at = 0
    for token in tokens:
        chosen, sources = places[at] if token != EOS else (NOWHERE, ())
        selects.append(chosen)
        copies.append(() if token in MARKUP else sources)
        at += len(token_bytes(token))
    return Look(tokens, selects, copies)

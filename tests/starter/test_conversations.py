"""Conversations say what they are to say: pairs differ in one argument, answers repeat results, guides point right."""

from __future__ import annotations

import json
from random import Random

import pytest
from recipe.bank import read_banks
from recipe.builtins import builtins
from recipe.cases import leaves
from recipe.conversation import Exchange, given_or_missing
from recipe.functions import offer
from recipe.procedural import family
from recipe.results import outcome
from recipe.sources import FIRST_FUNCTION, USER, look
from recipe.tokens import EOS, encode, token_bytes


def offered(rng, count):
    """Functions of banks, invented ones and the product's own."""
    banks = [bank for bank in read_banks() if not bank.held_out]
    intents = [rng.choice(rng.choice(banks).intents) for _ in range(count)]
    intents += [intent for _ in range(count // 4) for intent in family(rng, 4, frozenset())]
    intents += [rng.choice(builtins()) for _ in range(count // 4)]
    made = [offer(rng, intent, everywhere=False, taken=set()) for intent in intents]
    return [function for function in made if function]


def test_given_or_missing_differ_in_one_argument():
    rng = Random(1)
    pairs = [pair for function in offered(rng, 200) if (pair := given_or_missing(rng, function, ""))]
    assert len(pairs) > 100
    for (given,), (missing,) in pairs:
        arguments = json.loads(given.reply)["arguments"]
        assert missing.kind == "ask" and missing.argument in arguments
        assert missing.function == json.loads(given.reply)["function"]
        assert len(missing.prompt) < len(given.prompt)
        without = set(missing.prompt.lower().split())
        strange = {word.strip(".,;:?!") for word in without - set(given.prompt.lower().split())}
        assert not {word for word in strange if word not in given.prompt.lower()}


def test_answers_hold_every_value_of_the_result():
    rng = Random(2)
    for function in offered(rng, 200):
        if function.intent.verbatim:
            continue
        result, answer = outcome(rng, function, {})
        assert all(str(value) in answer for value in leaves(result) if not isinstance(value, bool))


def spelled(tokens, marked):
    """The text of the marked tokens."""
    return b"".join(token_bytes(token) for token, mark in zip(tokens, marked, strict=True) if mark).decode()


@pytest.mark.parametrize("name", ["check_in", "größe", "a"])
def test_a_question_points_at_the_name_of_its_argument(name):
    found = look(Exchange("", f'What should "{name}" be?', "ask", "book", name), {"book": FIRST_FUNCTION})
    assert spelled(found.tokens, [bool(sources) for sources in found.copies]) == name
    assert found.tokens[-1] == EOS and found.selects[:-1] == [FIRST_FUNCTION] * (len(found.tokens) - 1)


def test_a_call_points_at_names_in_the_block_and_values_in_the_request():
    reply = '{"function": "book_room", "arguments": {"guest": "Ann 12", "nights": 2, "late": false}}'
    group = FIRST_FUNCTION + 1
    found = look(Exchange("", reply, "call"), {"other": FIRST_FUNCTION, "book_room": group})
    assert found.tokens[:-1] == encode(reply)
    assert spelled(found.tokens, [sources == (group,) for sources in found.copies]) == "book_roomguestnightslate"
    values = spelled(found.tokens, [sources[:1] == (USER,) for sources in found.copies])
    assert values.replace(" ", "") == "Ann122false"
    fallback = spelled(found.tokens, [sources == (USER, group) for sources in found.copies])
    assert fallback == "Ann"

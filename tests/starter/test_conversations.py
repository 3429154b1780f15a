"""Conversations say what they are to say: pairs differ in one argument, answers repeat results, guides point right."""

from __future__ import annotations

import json
from functools import cache
from random import Random

import pytest
from recipe.bank import read_banks
from recipe.builtins import builtins
from recipe.cases import leaves
from recipe.conversation import Exchange, given_or_missing
from recipe.functions import offer
from recipe.pointers import NO_TOKEN, pointers
from recipe.procedural import family
from recipe.render import block, turn
from recipe.results import outcome
from recipe.sources import FIRST_FUNCTION, SPAN, USER, block_groups, groups_of, look, whole
from recipe.tokens import BOS, EOS, encode, token_bytes

training_banks = cache(lambda: [bank for bank in read_banks() if not bank.held_out])


def offered(rng, count):
    """Functions of banks, invented ones and the product's own."""
    intents = [rng.choice(rng.choice(training_banks()).intents) for _ in range(count)]
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
    groups = {"": FIRST_FUNCTION, "other": FIRST_FUNCTION + 1, name: FIRST_FUNCTION + 2}
    found = look(Exchange("", f'What should "{name}" be?', "ask", "book", name), {"book": groups})
    assert spelled(found.tokens, [bool(sources) for sources in found.copies]) == name
    assert spelled(found.tokens, [chosen == groups[name] for chosen in found.selects]) == name
    assert found.tokens[-1] == EOS and {whole(group) for group in found.selects[:-1]} == {FIRST_FUNCTION}


def test_a_call_points_at_names_in_the_block_and_values_in_the_request():
    reply = '{"function": "book_room", "arguments": {"guest": "Ann 12", "nights": 2, "late": false}}'
    function = FIRST_FUNCTION + SPAN
    groups = {"": function, "guest": function + 1, "nights": function + 2, "late": function + 3}
    found = look(Exchange("", reply, "call"), {"other": {"": FIRST_FUNCTION}, "book_room": groups})
    assert found.tokens[:-1] == encode(reply)
    assert spelled(found.tokens, [sources == (function,) for sources in found.copies]) == "book_roomguestnightslate"
    assert spelled(found.tokens, [sources == (USER, function) for sources in found.copies]) == "Ann 12"
    values = {name: spelled(found.tokens, [chosen == groups[name] for chosen in found.selects]) for name in groups}
    assert [values[name] for name in ("guest", "nights", "late")] == ['": "Ann 12"', '": 2', '": false']


def test_groups_of_a_block_are_those_of_its_functions():
    rng = Random(3)
    for _ in range(20):
        functions = offered(rng, 4)
        tokens = encode(block([function.metadata for function in functions]))
        groups = block_groups([BOS, *tokens])[1:]
        for name, members in groups_of(functions).items():
            for argument, group in members.items():
                text = spelled(tokens, [found == group for found in groups])
                assert json.dumps(argument or name, ensure_ascii=False)[:-1] in text


def pointed(said, reply, kind="call"):
    """What a reply with the one function `book` repeats: for each token that does, the three tokens up to it."""
    entries = [
        {"name": "room", "type": "string", "description": "Number of the room"},
        {"name": "day", "type": "string", "description": "The day"},
        {"name": "seats", "type": "integer", "description": "How many"},
        {"name": "class", "type": "string", "description": 'Class (required; one of "first", "second_hand")'},
    ]
    head = [BOS, *encode(block([{"function": "book", "description": "Book a room", "arguments": entries}]))]
    prompt = encode(turn(said))
    groups = {"": FIRST_FUNCTION} | dict.fromkeys(("room", "day", "seats", "class"), FIRST_FUNCTION + 1)
    found = look(Exchange(turn(said), reply, kind, "book", "room"), {"book": groups})
    before = head + prompt
    places = pointers(found, before, block_groups(head) + [USER] * len(prompt))
    for token, place in zip(found.tokens, places, strict=True):
        assert place == NO_TOKEN or before[place] == token
    return [
        b"".join(token_bytes(before[at]) for at in range(max(0, place - 2), place + 1)).decode()
        for place in places
        if place != NO_TOKEN
    ]


def test_a_value_is_the_whole_run_of_words_that_was_said():
    said = "Room 12 has 1 door; seats for 21 in room 2 on day 2"
    found = pointed(said, '{"function": "book", "arguments": {"room": "room 2", "day": "day 2", "seats": 21}}')
    assert " in room" in found and "room 2" in found and "day 2" in found
    assert [text for text in found if text.endswith("1")] == [" 21"] and " for 2" in found


def test_names_are_those_that_are_declared():
    found = pointed("Book it", '{"function": "book", "arguments": {"room": "x"}}')
    assert [text[-4:] for text in found] == ["book", "room"]
    assert '"function": "' in found[0] and '"name": "' in found[1]


def test_a_number_said_in_words_points_nowhere():
    assert pointed("a dozen seats at 1:15", '{"function": "book", "arguments": {"seats": 12}}')[2:] == []


def test_a_choice_said_otherwise_points_at_the_choice():
    found = pointed("the second best", '{"function": "book", "arguments": {"class": "second_hand"}}')
    assert [text.rsplit('"', 1)[-1] for text in found[2:]] == ["second", "second_", "second_hand"]

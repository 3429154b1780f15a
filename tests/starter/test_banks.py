"""The banks are well formed, and what is set aside for evaluation stays aside."""

from __future__ import annotations

import json
from random import Random

import pytest
from recipe.bank import BANKS_FOLDER, read_bank, read_banks
from recipe.builtins import builtins
from recipe.tree import Source, Tree


def trees(count: int, seed: int = 1) -> list[Tree]:
    source, rng = Source(read_banks()), Random(seed)
    return [source.tree(rng, rng.randint(1, 6), 6) for _ in range(count)]


@pytest.mark.parametrize(
    "path", sorted(p for p in BANKS_FOLDER.glob("*.toml") if p.stem != "builtins"), ids=lambda p: p.stem
)
def test_bank_follows_the_format(path):
    bank = read_bank(path)
    assert bank.domain == path.stem
    assert bank.intents
    for intent in bank.intents:
        assert not set(intent.names) & set(intent.held_names)
        assert not set(intent.wordings) & set(intent.held_wordings)


def test_domains_are_many_and_some_are_held_out():
    banks = read_banks(strict=True)
    assert len(banks) >= 60
    assert sum(bank.held_out for bank in banks) >= 6


def test_every_builtin_has_wordings():
    for intent in builtins():
        assert len(intent.wordings) >= 28
        assert len(intent.held_wordings) >= 3


def test_the_same_seed_gives_the_same_trees():
    assert trees(20) == trees(20)
    assert trees(5) != trees(5, seed=2)


def test_no_held_out_name_or_domain_is_offered_in_training():
    source = Source(read_banks())
    held_domains = {bank.domain for bank in read_banks() if bank.held_out}
    offered = [function for tree in trees(400) for function in tree.functions]
    assert not {function.name for function in offered} & source.held_names
    assert not {function.intent.domain for function in offered} & held_domains


def test_no_held_out_wording_is_trained_on():
    banks = read_banks()
    trained = {wording for bank in Source(banks).banks for intent in bank.intents for wording in intent.wordings}
    trained |= {wording for intent in builtins() for wording in intent.wordings}
    held = {wording for bank in banks for intent in bank.intents for wording in intent.held_wordings}
    held |= {wording for bank in banks if bank.held_out for intent in bank.intents for wording in intent.wordings}
    held |= {wording for intent in builtins() for wording in intent.held_wordings}
    assert len(held) > 1000
    assert not trained & held


def test_calls_fit_their_functions():
    for tree in trees(200):
        declared = {function.name: function for function in tree.functions}
        for talk in tree.conversations:
            for exchange in talk:
                if not exchange.reply.startswith("{"):
                    continue
                for line in exchange.reply.split("\n"):
                    call = json.loads(line)
                    function = declared[call["function"]]
                    names = [argument.name for argument in function.arguments]
                    assert [name for name in names if name in call["arguments"]] == list(call["arguments"])
                    assert all(a.name in call["arguments"] for a in function.arguments if a.required)


def test_only_the_products_own_functions_have_questions_of_their_own():
    assert not any(slot.ask for bank in read_banks() for intent in bank.intents for slot in intent.slots)
    assert all(slot.ask for intent in builtins() for slot in intent.slots if slot.required)

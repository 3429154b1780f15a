"""Trees: one function block and several conversations that see only the block and themselves. Knows no tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from recipe.bank import Bank, Intent
from recipe.builtins import DEFAULT_SIX, builtins
from recipe.conversation import (
    Exchange,
    ask_conversation,
    call_conversation,
    given_or_missing,
    refusal,
    two_calls,
)
from recipe.functions import Function, offer
from recipe.procedural import family
from recipe.render import block
from recipe.words import lists

# Asked for twice as often as the other functions: they are what runs on a first try.
COMPUTING = {"calculator", "convert_units", "current_time"}


@dataclass(frozen=True, slots=True)
class Tree:
    block: str
    conversations: tuple[tuple[Exchange, ...], ...]
    functions: tuple[Function, ...]


class Source:
    """Draws trees. Holds the training banks and the names kept aside. `large` allows the long default block."""

    def __init__(self, banks: Sequence[Bank], *, procedural: float = 0.2, own: float = 0.2) -> None:
        self.held_names = frozenset(
            name for bank in banks for intent in bank.intents for name in intent.held_names
        ) | frozenset(name for bank in banks if bank.held_out for intent in bank.intents for name in intent.names)
        self.banks = [
            replace(bank, intents=tuple(self.without_held(intent) for intent in bank.intents))
            for bank in banks
            if not bank.held_out and bank.intents
        ]
        self.procedural = procedural if self.banks else 1.0
        self.own = own
        self.large = True

    def without_held(self, intent: Intent) -> Intent:
        """The intent without names that are another one's held-out names."""
        return replace(intent, names=tuple(name for name in intent.names if name not in self.held_names))

    def intents(self, rng: Random, count: int) -> tuple[list[Intent], list[Intent]]:
        """Intents to offer and strangers (not offered), of one source."""
        roll = rng.random()
        if roll < self.own:
            return self.product(rng, count)
        if roll < self.own + (1 - self.own) * self.procedural:
            made = family(rng, count + 2, self.held_names)
            if rng.random() < 0.4:
                made = made[: max(1, count // 2)] + family(rng, count - count // 2 + 2, self.held_names)
            return made[:count], made[count:]
        bank = rng.choice(self.banks)
        pool = list(bank.intents)
        rng.shuffle(pool)
        near = min(len(pool), max(1, round(count * rng.choice([1.0, 1.0, 0.6, 0.4]))))
        chosen, strangers = pool[:near], pool[near : near + 2]
        while len(chosen) < count:
            other = rng.choice(rng.choice(self.banks).intents)
            if other not in chosen and other not in strangers:
                chosen.append(other)
            elif rng.random() < 0.3:
                break
        strangers.append(
            rng.choice(rng.choice(self.banks).intents) if rng.random() < 0.7 else family(rng, 1, self.held_names)[0]
        )
        return chosen, [stranger for stranger in strangers if stranger not in chosen]

    def product(self, rng: Random, count: int) -> tuple[list[Intent], list[Intent]]:
        """The product's own functions: the six default ones, all ten, some, or mixed with others."""
        own = {intent.id: intent for intent in builtins()}
        roll = rng.random() if self.large else rng.uniform(0.6, 1.0)
        if roll < 0.5:
            chosen = [own[name] for name in DEFAULT_SIX]
        elif roll < 0.6:
            chosen = list(own.values())
        elif roll < 0.85:
            chosen = rng.sample(list(own.values()), max(1, min(count, 6)))
        else:
            chosen = rng.sample(list(own.values()), max(1, count // 2))
            chosen += rng.sample(rng.choice(self.banks).intents, 1) if self.banks else family(rng, 1, self.held_names)
        if roll >= 0.6 or rng.random() < 0.2:
            rng.shuffle(chosen)
        strangers = family(rng, 2, self.held_names)
        if self.banks:
            strangers += [rng.choice(rng.choice(self.banks).intents) for _ in range(3)]
        clash = {"search_web", "search_arxiv", "convert_units", "calculator"}
        strangers += [
            intent
            for intent in own.values()
            if intent not in chosen and not (intent.id in clash and any(c.id in clash for c in chosen))
        ][:3]
        return chosen, strangers

    def tree(self, rng: Random, count: int, conversations: int) -> Tree:
        """One tree with about `count` functions and `conversations` conversations."""
        if rng.random() < 0.02:
            return self.bare(rng, conversations)
        chosen, strange = self.intents(rng, count)
        everywhere = rng.random() < (0.15 if chosen[0].verbatim else 0.5)
        functions: list[Function] = []
        for intent in chosen:
            made = offer(rng, intent, everywhere=everywhere, taken={function.name for function in functions})
            functions += [made] if made else []
        if not chosen[0].verbatim:
            rng.shuffle(functions)
        strangers = [
            made
            for intent in strange
            if (made := offer(rng, intent, everywhere=False, taken={function.name for function in functions}, flips=0))
        ]
        system = rng.choice(lists()["systems"]) if rng.random() < 0.25 else ""
        order = [*functions, *(function for function in functions if function.intent.id in COMPUTING)]
        rng.shuffle(order)
        found: list[tuple[Exchange, ...]] = []
        tries = 0
        while len(found) < conversations and tries < conversations * 3:
            function = order[tries % len(order)]
            tries += 1
            made = self.some(rng, function, functions, strangers, system if rng.random() < 0.6 else "")
            for exchanges in made:
                if rng.random() < 0.09:
                    more = self.some(rng, rng.choice(functions), functions, strangers, "")
                    exchanges += more[0] if more else []
                found.append(tuple(exchanges))
        return Tree(block([function.metadata for function in functions]), tuple(found), tuple(functions))

    def some(
        self, rng: Random, function: Function, functions: Sequence[Function], strangers: Sequence[Function], system: str
    ) -> list[list[Exchange]]:
        """One conversation, two that differ in one argument, or none where the wordings allow none."""
        roll = rng.random()
        if roll < 0.16:
            return given_or_missing(rng, function, system)
        if roll < 0.6:
            made = call_conversation(rng, function, system)
        elif roll < 0.74:
            made = ask_conversation(rng, function, system)
        elif roll < 0.78:
            made = two_calls(rng, functions, system)
        else:
            made = refusal(rng, rng.choice(strangers) if strangers else None, system, functions=True)
        return [made] if made else []

    def bare(self, rng: Random, conversations: int) -> Tree:
        """No functions at all: talk and refusals."""
        stranger = offer(rng, family(rng, 1, self.held_names)[0], everywhere=False, taken=set(), flips=0)
        found = [tuple(made) for _ in range(conversations) if (made := refusal(rng, stranger, "", functions=False))]
        return Tree("", tuple(found), ())

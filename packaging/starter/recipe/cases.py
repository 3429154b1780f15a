"""Evaluation cases of every set, drawn by seed, mostly from what training never sees. Knows no engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from recipe.bank import Bank, Intent, read_banks
from recipe.builtins import DEFAULT_SIX, builtins
from recipe.conversation import QUESTION, question, refusal, request
from recipe.functions import Function, offer
from recipe.procedural import family
from recipe.render import Metadata, block, call, response, turn
from recipe.results import outcome
from recipe.tree import Source
from recipe.values import Json

HAND = Path(__file__).resolve().parent.parent / "eval" / "hand.jsonl"


@dataclass(frozen=True, slots=True)
class Case:
    """One prompt and what is right: a call, a question about one of `ask`, text, or an answer that keeps `kept`."""

    set: str
    prompt: str
    schemas: tuple[tuple[str, dict[str, Json]], ...]
    function: str = ""
    arguments: dict[str, Json] = field(default_factory=dict)
    types: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    answer: str = ""
    kept: tuple[str, ...] = ()


def parameters(function: Function) -> dict[str, Json]:
    """The JSON Schema of a function's arguments."""
    properties: dict[str, Json] = {}
    entries = function.metadata["arguments"]
    assert isinstance(entries, list)
    for argument, entry in zip(function.arguments, entries, strict=True):
        assert isinstance(entry, dict)
        schema: dict[str, Json] = {"type": entry["type"]}
        if argument.slot.type == "enum":
            schema["enum"] = list(argument.slot.choices)
        if "items" in entry:
            schema["items"] = entry["items"]
        properties[argument.name] = schema
    required: list[Json] = [argument.name for argument in function.arguments if argument.required]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def schemas_of(functions: Sequence[Function]) -> tuple[tuple[str, dict[str, Json]], ...]:
    return tuple((function.name, parameters(function)) for function in functions)


def head(functions: Sequence[Function]) -> str:
    return block([function.metadata for function in functions])


def offered(
    rng: Random, intents: Sequence[Intent], target: Intent | None, names: Sequence[str] = ()
) -> tuple[list[Function], Function | None]:
    """The intents as a shuffled block and the target's function in it."""
    functions: list[Function] = []
    wanted: Function | None = None
    everywhere = rng.random() < 0.5
    ordered = ([target] if target else []) + [intent for intent in intents if intent is not target]
    for intent in ordered:
        made = offer(
            rng,
            intent,
            everywhere=everywhere,
            taken={function.name for function in functions},
            names=names if intent is target else (),
            flips=0,
        )
        if made:
            functions.append(made)
            wanted = made if intent is target else wanted
    if not ordered[0].verbatim:
        rng.shuffle(functions)
    return functions, wanted


def call_case(
    rng: Random,
    label: str,
    intents: Sequence[Intent],
    target: Intent,
    *,
    wordings: Sequence[str] = (),
    names: Sequence[str] = (),
) -> Case | None:
    functions, function = offered(rng, intents, target, names)
    made = request(rng, function, complete=True, wordings=wordings) if function else None
    if made is None or function is None:
        return None
    types = tuple(argument.slot.type for argument in function.arguments if argument.slot.key in made.given)
    return Case(label, head(functions) + turn(made.text), schemas_of(functions), function.name, made.arguments, types)


def ask_case(rng: Random, label: str, intents: Sequence[Intent], target: Intent) -> Case | None:
    functions, function = offered(rng, intents, target)
    made = request(rng, function, complete=False) if function else None
    if made is None or not made.missing:
        return None
    missing, asks = zip(*((argument.name, question(argument)) for argument in made.missing), strict=True)
    return Case(label, head(functions) + turn(made.text), schemas_of(functions), ask=missing, asks=asks)


def no_fit_case(rng: Random, label: str, intents: Sequence[Intent], stranger: Intent) -> Case | None:
    functions, _ = offered(rng, [intent for intent in intents if intent is not stranger], None)
    other = offer(rng, stranger, everywhere=False, taken={function.name for function in functions}, flips=0)
    exchanges = refusal(rng, other, "", functions=True, talk=0) if other else []
    return (
        Case(label, head(functions) + exchanges[0].prompt, schemas_of(functions)) if exchanges and functions else None
    )


def leaves(value: Json) -> Iterator[Json]:
    """What stands in a value, without lists and objects around it."""
    if isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from leaves(one)
    else:
        yield value


def result_case(rng: Random, label: str, intents: Sequence[Intent], target: Intent) -> Case | None:
    functions, function = offered(rng, intents, target)
    made = request(rng, function, complete=True) if function else None
    if made is None or function is None:
        return None
    result, answer = outcome(rng, function, made.arguments, shapes=False)
    kept = tuple(str(value) for value in leaves(result) if not isinstance(value, bool) and str(value) in answer)
    prompt = (
        head(functions)
        + turn(made.text)
        + call(function.name, made.arguments)
        + "</s>"
        + turn(response(function.name, result))
    )
    return Case(label, prompt, schemas_of(functions), answer=answer, kept=kept)


Maker = Callable[[Random], Case | None]


def makers(banks: Sequence[Bank]) -> dict[str, Maker]:
    """A maker of cases for every set that the banks can fill."""
    source = Source(banks)
    trained = [bank for bank in banks if not bank.held_out and bank.intents]
    held = [bank for bank in banks if bank.held_out and bank.intents]
    own = {intent.id: intent for intent in builtins()}
    six = [own[name] for name in DEFAULT_SIX]

    def mixed(rng: Random, pool: Sequence[Bank]) -> tuple[list[Intent], Intent]:
        bank = rng.choice(pool)
        count = rng.randint(1, 6)
        chosen = rng.sample(bank.intents, min(len(bank.intents), count))
        chosen += [rng.choice(rng.choice(pool).intents) for _ in range(max(0, min(count, 4) - len(chosen)))]
        return list(
            dict.fromkeys([intent.id for intent in chosen]) and {intent.id: intent for intent in chosen}.values()
        ), chosen[0]

    def on(pool: Sequence[Bank], build: Callable[[Random, list[Intent], Intent], Case | None]) -> Maker:
        return lambda rng: build(rng, *mixed(rng, pool))

    def product(rng: Random, names: Sequence[str], label: str) -> Case | None:
        target = own[rng.choice(names)]
        intents = six if target in six and rng.random() < 0.7 else list(own.values())
        return call_case(rng, label, intents, target, wordings=target.held_wordings)

    def invented(rng: Random) -> Case | None:
        intents = family(rng, rng.randint(1, 6), source.held_names)
        return call_case(rng, "invented functions", intents, rng.choice(intents)) if intents else None

    def stranger(rng: Random, pool: Sequence[Bank], label: str) -> Case | None:
        intents, _ = mixed(rng, pool)
        ids = {intent.domain for intent in intents}
        other = [bank for bank in pool if bank.domain not in ids]
        return no_fit_case(rng, label, intents, rng.choice(rng.choice(other).intents)) if other else None

    made: dict[str, Maker] = {
        "invented functions": invented,
        "built-ins, held-out wordings": lambda rng: product(rng, list(own), "built-ins, held-out wordings"),
        "computing built-ins, held-out wordings": lambda rng: product(
            rng, ["calculator", "convert_units", "current_time"], "computing built-ins, held-out wordings"
        ),
        "built-ins: result to answer": lambda rng: result_case(
            rng, "built-ins: result to answer", six, rng.choice(six)
        ),
    }
    if len(trained) > 1:
        made |= {
            "in distribution": on(
                trained, lambda rng, intents, target: call_case(rng, "in distribution", intents, target)
            ),
            "held-out wordings": on(
                trained,
                lambda rng, intents, target: call_case(
                    rng, "held-out wordings", intents, target, wordings=target.held_wordings
                ),
            ),
            "held-out names": on(
                trained,
                lambda rng, intents, target: (
                    call_case(rng, "held-out names", intents, target, names=target.held_names)
                    if target.held_names
                    else None
                ),
            ),
            "ask for the missing": on(
                trained, lambda rng, intents, target: ask_case(rng, "ask for the missing", intents, target)
            ),
            "no function fits": lambda rng: stranger(rng, trained, "no function fits"),
            "result to answer": on(
                trained, lambda rng, intents, target: result_case(rng, "result to answer", intents, target)
            ),
        }
    if len(held) > 1:
        made |= {
            "held-out domains": on(
                held, lambda rng, intents, target: call_case(rng, "held-out domains", intents, target)
            ),
            "ask, held-out domains": on(
                held, lambda rng, intents, target: ask_case(rng, "ask, held-out domains", intents, target)
            ),
            "no function fits, held-out domains": lambda rng: stranger(rng, held, "no function fits, held-out domains"),
            "result to answer, held-out domains": on(
                held,
                lambda rng, intents, target: result_case(rng, "result to answer, held-out domains", intents, target),
            ),
        }
    return made


def cases(label: str, maker: Maker, count: int, seed: int = 20) -> Iterator[Case]:
    """`count` cases of one set, the same for the same seed and banks."""
    rng = Random(f"{label}/{seed}")
    found = 0
    for _ in range(count * 20):
        if found == count:
            return
        case = maker(rng)
        if case is not None:
            found += 1
            yield case


def hand_cases(path: Path = HAND) -> list[Case]:
    """The prompts written by hand, as calls, questions and refusals."""
    from fclocal.dialects.shown import shown
    from fclocal.functions import from_json

    found: list[Case] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        data = json.loads(line)
        functions = [from_json(entry, origin=path.name) for entry in data["functions"]]
        metadata: list[Metadata] = [dict(shown(function)) for function in functions]  # type: ignore[arg-type]  # looser JSON type
        schemas = tuple((function.name, dict(function.parameters)) for function in functions)
        expected = data.get("expect")
        prompt = block(metadata) + turn(data["prompt"])
        if expected:
            found.append(Case("by hand: calls", prompt, schemas, expected["function"], expected["arguments"]))  # type: ignore[arg-type]  # looser JSON type
        elif data.get("ask"):
            known = {name for name, _ in schemas}
            own = (slot for intent in builtins() if intent.id in known for slot in intent.slots)
            asks = tuple(slot.ask for slot in own if slot.key == data["ask"]) or (QUESTION.format(data["ask"]),)
            found.append(Case("by hand: ask", prompt, schemas, ask=(data["ask"],), asks=asks))  # type: ignore[arg-type]  # looser JSON type
        else:
            found.append(Case("by hand: no function fits", prompt, schemas))  # type: ignore[arg-type]  # looser JSON type
    return found


def all_cases(count: int, only: Sequence[str] = ()) -> Iterator[Case]:
    for label, maker in makers(read_banks()).items():
        if not only or any(part in label for part in only):
            yield from cases(label, maker, count)
    if not only or any(part in "by hand" for part in only):
        yield from hand_cases()

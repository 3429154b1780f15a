"""Conversations about one block of functions: requests, calls, questions, refusals. Knows no tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from recipe.bank import Intent
from recipe.builtins import paired_units
from recipe.functions import Argument, Function
from recipe.render import call, response, turn
from recipe.results import outcome
from recipe.values import Json, Value
from recipe.wording import named, parts_of, say
from recipe.words import lists

# How functions that are not the product's own are asked about. One way to ask: were many as likely as each other, each
# would be less likely than a call, and greedy decoding would call although the model means to ask. The argument's name
# stands as in the block, so that asking for an argument never seen before is copying.
QUESTION = 'What should "{}" be?'
# One way to refuse, for the same reason.
NO_FIT, NO_FUNCTIONS = "Sorry, I have no function for that.", "Sorry, I have no functions to do that with."


@dataclass(frozen=True, slots=True)
class Exchange:
    """One user turn as prompt text and the reply to it; a question is about `argument` of `function`."""

    prompt: str
    reply: str
    kind: str
    function: str = ""
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """What a user said about a function: its values and which slots were given."""

    function: Function
    text: str
    values: dict[str, Value]
    given: frozenset[str]

    @property
    def arguments(self) -> dict[str, Json]:
        return self.function.call(self.values, set(self.given))

    @property
    def missing(self) -> list[Argument]:
        return self.function.missing(set(self.given))


def draw_values(rng: Random, intent: Intent) -> dict[str, Value]:
    values = {slot.key: slot.sample(rng) for slot in intent.slots}
    return paired_units(rng, values) if intent.id == "convert_units" and intent.verbatim else values


def request(
    rng: Random,
    function: Function,
    *,
    complete: bool | None,
    wordings: Sequence[str] = (),
) -> Request | None:
    """A request with every required argument (complete), with one missing, or either (None).

    None when no wording allows it.
    """
    intent = function.intent
    pool = list(wordings or intent.wordings)
    values = draw_values(rng, intent)
    required = {argument.slot.key for argument in function.arguments if argument.required}
    for _ in range(14):
        template = rng.choice(pool)
        outside, all_named = named(parts_of(template), inside=False), named(parts_of(template))
        if outside - function.declared:
            continue
        drop, keep = all_named - function.declared, set[str]()
        if complete is True:
            if required - all_named:
                continue
            keep = required
        elif complete is False:
            absent = required - all_named
            droppable = sorted((required & all_named) - outside)
            if not absent and not droppable:
                continue
            if not absent:
                chosen = rng.choice(droppable)
                drop = drop | {chosen}
                keep = (required - drop) if rng.random() < 0.7 else set()
        shown = quoted(rng, intent, values)
        text, given = say(rng, template, shown, drop, keep)
        if (complete is True and required - given) or (complete is False and not required - given) or not text:
            continue
        return Request(function, noisy(rng, intent, text, values), values, frozenset(given & function.declared))
    return None


def quoted(rng: Random, intent: Intent, values: dict[str, Value]) -> dict[str, Value]:
    """Free strings in quotes now and then."""
    if rng.random() > 0.12:
        return values
    mark = rng.choice(['"', '"', "'"])
    return {
        key: Value(f"{mark}{value.said}{mark}", value.json)
        if isinstance(value.json, str) and value.said == value.json and mark not in value.said and " " in value.said
        else value
        for key, value in values.items()
    }


def noisy(rng: Random, intent: Intent, text: str, values: dict[str, Value]) -> str:
    """Small differences of style that leave the values as they are; none in sums, where a mark may count."""
    if intent.verbatim and intent.id == "calculator":
        return text
    roll = rng.random()
    starts_with_value = any(text.startswith(value.said) for value in values.values())
    if roll < 0.08 and not starts_with_value:
        return text[0].lower() + text[1:]
    if roll < 0.14 and text[-1] in ".?!":
        return text[:-1]
    if roll < 0.19:
        return f"{rng.choice(lists()['asides'])} {text}"
    if roll < 0.22 and text[-1] not in ".?!":
        return text + rng.choice([" please", " thanks", ", please", ", thanks"])
    return text


def question(argument: Argument) -> str:
    """What asks for an argument: the product's own question, or the common one."""
    return argument.slot.ask or QUESTION.format(argument.name)


def with_answer(rng: Random, request: Request, exchanges: list[Exchange]) -> None:
    """Append the function's response and the answer to it."""
    result, answer = outcome(rng, request.function, request.arguments)
    exchanges.append(Exchange(turn(response(request.function.name, result)), answer, "answer"))


def call_conversation(rng: Random, function: Function, system: str, *, answer: float = 0.2) -> list[Exchange]:
    made = request(rng, function, complete=True)
    if made is None:
        return []
    exchanges = [Exchange(turn(made.text, system), call(function.name, made.arguments), "call")]
    if rng.random() < answer:
        with_answer(rng, made, exchanges)
    return exchanges


def ask_conversation(rng: Random, function: Function, system: str, *, resolve: float = 0.35) -> list[Exchange]:
    """A request with a missing argument, the question, and often the answer and then the call."""
    made = request(rng, function, complete=False)
    if made is None or not made.missing:
        return []
    wanted = made.missing[0]
    exchanges = [Exchange(turn(made.text, system), question(wanted), "ask", function.name, wanted.name)]
    if len(made.missing) == 1 and rng.random() < resolve and wanted.slot.type != "boolean":
        value = made.values[wanted.slot.key]
        said = rng.choice(lists()["given"]).replace("{}", value.said)
        complete = replace(made, given=made.given | {wanted.slot.key})
        exchanges.append(Exchange(turn(said), call(function.name, complete.arguments), "call"))
        if rng.random() < 0.2:
            with_answer(rng, complete, exchanges)
    return exchanges


def given_or_missing(rng: Random, function: Function, system: str) -> list[list[Exchange]]:
    """Two conversations that differ in one argument alone: said, and called; left out, and asked for."""
    intent = function.intent
    required = {argument.slot.key for argument in function.arguments if argument.required}
    for template in rng.sample(intent.wordings, min(8, len(intent.wordings))):
        everywhere, outside = named(parts_of(template)), named(parts_of(template), inside=False)
        grouped = everywhere - outside
        if not grouped & required or required - everywhere or outside - function.declared:
            continue
        missing = rng.choice(sorted(grouped & required))
        left_out = {key for key in sorted(grouped - required) if key not in function.declared or rng.random() < 0.3}
        values = draw_values(rng, intent)
        shown, style = quoted(rng, intent, values), rng.random()
        whole, given = say(rng, template, shown, left_out, grouped - left_out)
        part, rest = say(rng, template, shown, left_out | {missing}, grouped - left_out - {missing})
        if required - given or given - rest != {missing} or not part:
            continue
        full = Request(function, noisy(Random(style), intent, whole, values), values, frozenset(given))
        less = Request(function, noisy(Random(style), intent, part, values), values, frozenset(rest))
        asked = less.missing[0]
        return [
            [Exchange(turn(full.text, system), call(function.name, full.arguments), "call")],
            [Exchange(turn(less.text, system), question(asked), "ask", function.name, asked.name)],
        ]
    return []


def two_calls(rng: Random, functions: Sequence[Function], system: str) -> list[Exchange]:
    """Two requests in one turn, two calls in the reply."""
    first, second = rng.choice(functions), rng.choice(functions)
    one, two = request(rng, first, complete=True), request(rng, second, complete=True)
    if one is None or two is None or one.text == two.text:
        return []
    joiner = rng.choice(lists()["joiners_exact"])
    head, tail = one.text.rstrip(".?!"), two.text
    if (
        not joiner.rstrip().endswith((".", "\n"))
        and not joiner.startswith((".", "\n"))
        and tail[0].isupper()
        and not any(tail.startswith(v.said) for v in two.values.values())
        and tail[:2] not in {"I ", "I'"}
    ):
        tail = tail[0].lower() + tail[1:]
    reply = f"{call(first.name, one.arguments)}\n{call(second.name, two.arguments)}"
    return [Exchange(turn(head + joiner + tail, system), reply, "calls")]


def refusal(
    rng: Random, stranger: Function | None, system: str, *, functions: bool, talk: float = 0.2
) -> list[Exchange]:
    """A request that no offered function fits; so often small talk."""
    if stranger is None or rng.random() < talk:
        said, answer = rng.choice(lists()["talk"]).split(" => ")
        return [Exchange(turn(said, system), answer, "talk")]
    made = request(rng, stranger, complete=None)
    if made is None:
        return []
    return [Exchange(turn(made.text, system), NO_FIT if functions else NO_FUNCTIONS, "no_fit")]

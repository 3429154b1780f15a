"""Generation under a grammar: forced tokens, masks, rewinding, and the reserve that closes a call."""

from __future__ import annotations

import json
from contextlib import aclosing

import pytest

from fclocal.engine.engine import Engine
from fclocal.engine.request import Request, Sampling, Step
from fclocal.errors import BadCall, FclocalError
from tests.engine.conftest import end_of, take, text_of, tokens_of

GUIDANCE = {"whitespace_flexible": False, "key_separator": ": ", "item_separator": ", "}
CHOICES = {"city": {"enum": ["Paris", "London"]}, "days": {"type": "integer", "minimum": 1, "maximum": 3}}


def call_of(properties: dict[str, object], **rest: object) -> str:
    """A Lark grammar of one call with these arguments, all required."""
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    schema |= {"x-guidance": GUIDANCE, **rest}
    return f'%llguidance {{}}\nstart: "{{\\"function\\": \\"f\\", \\"arguments\\": " %json {json.dumps(schema)} "}}"\n'


async def run(engine: Engine, request: Request) -> list[Step]:
    async with aclosing(engine.generate(request)) as generation:
        return [step async for step in generation]


async def test_forced_tokens_are_not_sampled(engine: Engine, prompt: tuple[int, ...]) -> None:
    steps = await run(engine, Request(prompt, grammar=call_of(CHOICES)))
    tokens = tokens_of(steps)
    arguments = json.loads(text_of(steps))["arguments"]
    assert arguments["city"] in ("Paris", "London")
    assert arguments["days"] in (1, 2, 3)
    assert all((token.logprob is None) == token.forced for token in tokens)
    timings = end_of(steps).timings
    assert end_of(steps).reason == "end"
    assert timings.sampled_tokens == sum(not token.forced for token in tokens) == 2
    assert timings.forced_tokens == len(tokens) - 2
    assert timings.decodes == 1


async def test_without_force_every_token_is_sampled_and_the_call_is_the_same(
    engine: Engine, prompt: tuple[int, ...]
) -> None:
    forced = await run(engine, Request(prompt, grammar=call_of(CHOICES)))
    masked = await run(engine, Request(prompt, grammar=call_of(CHOICES), force=False))
    assert text_of(masked) == text_of(forced)
    assert not any(token.forced for token in tokens_of(masked))
    assert end_of(masked).timings.decodes == len(tokens_of(masked)) - 1


async def test_a_call_without_any_choice_needs_no_decode(engine: Engine, prompt: tuple[int, ...]) -> None:
    steps = await run(engine, Request(prompt, grammar=call_of({})))
    assert json.loads(text_of(steps)) == {"function": "f", "arguments": {}}
    assert end_of(steps).timings.decodes == 0
    assert end_of(steps).timings.sampled_tokens == 0


async def test_a_broken_grammar_is_an_error_and_the_engine_lives(engine: Engine, prompt: tuple[int, ...]) -> None:
    with pytest.raises(FclocalError, match="grammar"):
        await run(engine, Request(prompt, grammar="start: nonsense ("))
    assert len(tokens_of(await run(engine, Request(prompt, max_tokens=3)))) == 3


@pytest.mark.parametrize("temperature", [0.0, 1.5])
async def test_rewinding_never_repeats_a_rejected_call(
    engine: Engine, prompt: tuple[int, ...], temperature: float
) -> None:
    request = Request(prompt, grammar=call_of(CHOICES), sampling=Sampling(temperature=temperature, seed=5))
    seen: list[str] = []
    async with aclosing(engine.generate(request)) as generation:
        first = [step async for step in generation]
        kept = tokens_of(first)[:10]
        seen.append(text_of(first).decode())
        for _ in range(5):
            generation.rewind(10)
            steps = [step async for step in generation]
            text = b"".join(token.piece for step in steps for token in getattr(step, "tokens", ())).decode()
            seen.append(b"".join(token.piece for token in kept).decode() + text)
        generation.rewind(10)
        with pytest.raises(BadCall):
            await anext(generation)
    assert len(set(seen)) == 6
    calls = [json.loads(text)["arguments"] for text in seen]
    assert {(call["city"], call["days"]) for call in calls} == {(c, d) for c in ("Paris", "London") for d in (1, 2, 3)}


async def test_rewinding_text_differs_at_the_last_token_seen(engine: Engine, prompt: tuple[int, ...]) -> None:
    async with aclosing(engine.generate(Request(prompt, max_tokens=12))) as generation:
        first = tokens_of([step async for step in generation])
        generation.rewind(4)
        second = [token for step in [step async for step in generation] for token in getattr(step, "tokens", ())]
    assert len(second) == 8
    assert [token.id for token in second[:7]] == [token.id for token in first[4:11]]
    assert second[7].id != first[11].id


async def test_rewinding_while_it_writes_drops_what_is_queued(engine: Engine, prompt: tuple[int, ...]) -> None:
    request = Request(prompt, max_tokens=300, sampling=Sampling(logit_bias={2: -100}))
    async with aclosing(engine.generate(request)) as generation:
        first = await take(generation, lambda tokens: len(tokens) >= 20)
        generation.rewind(5)
        steps = [step async for step in generation]
        again = [token for step in steps for token in getattr(step, "tokens", ())]
    assert len(again) == 295
    assert [token.id for token in again[:14]] == [token.id for token in first[5:19]]
    assert again[14].id != first[19].id
    assert next(step.start for step in steps if hasattr(step, "start")) == 5


async def test_rewinding_under_another_grammar(engine: Engine, prompt: tuple[int, ...]) -> None:
    async with aclosing(engine.generate(Request(prompt, grammar=call_of(CHOICES)))) as generation:
        first = tokens_of([step async for step in generation])
        keep = next(at for at, token in enumerate(first) if not token.forced)
        generation.rewind(keep, grammar=call_of({"city": {"const": "Rome"}, "days": {"const": 9}}))
        rest = [token for step in [step async for step in generation] for token in getattr(step, "tokens", ())]
    text = b"".join(token.piece for token in first[:keep] + rest)
    assert json.loads(text)["arguments"] == {"city": "Rome", "days": 9}


async def test_rewinding_further_than_was_seen_is_refused(engine: Engine, prompt: tuple[int, ...]) -> None:
    async with aclosing(engine.generate(Request(prompt, max_tokens=5))) as generation:
        assert len(tokens_of([step async for step in generation])) == 5
        with pytest.raises(ValueError, match="cannot be kept"):
            generation.rewind(6)


HARD = [
    {"text": {"type": "string"}},
    {"text": {"type": "string", "minLength": 60}},
    {"code": {"type": "string", "pattern": "^[0-9a-z]*z$"}},
    {"code": {"type": "string", "pattern": r"^[A-Z]{3}-\d{4}(a|b)*c$"}},
    {"when": {"type": "string", "format": "date-time"}, "who": {"type": "string", "format": "email"}},
    {"number": {"type": "integer"}, "then": {"type": "number"}, "last": {"type": "string"}},
    {"list": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}, "minItems": 2}, "minItems": 3}},
    {"any": {}},
    {"open": {"type": "object", "additionalProperties": {"type": ["string", "null"]}}},
    {
        "either": {
            "anyOf": [{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, {"const": 1}]
        }
    },
]


@pytest.mark.parametrize("properties", HARD, ids=lambda properties: next(iter(properties)))
async def test_a_hostile_sampler_closes_every_call_within_its_budget(
    engine: Engine, prompt: tuple[int, ...], properties: dict[str, object]
) -> None:
    for seed in range(8):
        request = Request(
            prompt,
            grammar=call_of(properties),
            reserve=48,
            max_tokens=160,
            sampling=Sampling(temperature=2.0, seed=seed),
        )
        steps = await run(engine, request)
        assert len(tokens_of(steps)) <= 160
        json.loads(text_of(steps))


async def test_a_recursive_schema_closes(engine: Engine, prompt: tuple[int, ...]) -> None:
    tree = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/t"}}}}
    tree |= {"required": ["kids"]}
    grammar = call_of({"t": {"$ref": "#/$defs/t"}}, **{"$defs": {"t": tree}})
    for seed in range(8):
        request = Request(prompt, grammar=grammar, max_tokens=200, sampling=Sampling(temperature=2.0, seed=seed))
        json.loads(text_of(await run(engine, request)))


async def test_an_impossible_budget_ends_without_a_whole_call(engine: Engine, prompt: tuple[int, ...]) -> None:
    steps = await run(engine, Request(prompt, grammar=call_of({"text": {"type": "string"}}), max_tokens=6))
    assert end_of(steps).reason == "length"
    assert len(tokens_of(steps)) == 6

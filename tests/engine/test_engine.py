"""Load, tokenize, generate, share, cancel and close on a real model of random weights."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from fclocal.engine.engine import Engine
from fclocal.engine.request import Decoded, Prefilled, Request, Sampling, Step, Stopped
from fclocal.errors import ContextFull, FclocalError, ModelBroken, ModelMissing, UsageError
from tests.engine.conftest import end_of, take, text_of, tokens_of
from tests.tiny_model import write_tiny_model


async def run(engine: Engine, request: Request, *, stop_tokens: frozenset[int] = frozenset()) -> list[Step]:
    async with aclosing(engine.generate(request, stop_tokens=stop_tokens)) as generation:
        return [step async for step in generation]


def ids(steps: list[Step]) -> list[int]:
    return [token.id for token in tokens_of(steps)]


async def test_facts_of_the_model(engine: Engine, tiny: Path) -> None:
    assert engine.path == tiny
    assert engine.architecture == "llama"
    assert (engine.context, engine.trained_context) == (2048, 2048)
    assert engine.eos == "</s>"
    assert engine.bos() == (1,)
    assert engine.special_texts == {"<s>", "</s>", "<unk>", "<|extra|>"}
    assert engine.header.metadata["general.name"] == "tiny random model"


@pytest.mark.parametrize("text", ["", "a", " ", "\0", "naïve 日本 😀", 'x": {"y": [1, 2]}}\n', "\t\r\n  \x7f"])
async def test_tokens_give_the_text_back(engine: Engine, text: str) -> None:
    for special in (True, False):
        assert engine.detokenize(engine.tokenize(text, special=special)).decode() == text


async def test_control_tokens_come_only_from_trusted_text(engine: Engine) -> None:
    assert engine.tokenize("</s>", special=True) == (2,)
    assert 2 not in engine.tokenize("</s>", special=False)
    assert engine.detokenize(engine.tokenize("</s>", special=False)) == b"</s>"


async def test_lone_surrogates_become_one_replacement_character(engine: Engine) -> None:
    tokens = engine.tokenize("a\ud800b", special=False)
    assert engine.detokenize(tokens).decode() == "a\ufffdb"


async def test_steps_of_a_reply(engine: Engine, prompt: tuple[int, ...]) -> None:
    steps = await run(engine, Request(prompt, max_tokens=10))
    assert steps[0] == Prefilled(0, len(prompt), 0)
    assert Prefilled(len(prompt), len(prompt), 0) in steps
    tokens = tokens_of(steps)
    assert len(tokens) == 10
    assert all(token.logprob is not None and token.logprob <= 0 and not token.forced for token in tokens)
    stopped = end_of(steps)
    assert stopped.reason == "length"
    timings = stopped.timings
    assert (timings.prompt_tokens, timings.cached_tokens) == (len(prompt), 0)
    assert (timings.sampled_tokens, timings.forced_tokens, timings.decodes) == (10, 0, 9)
    assert timings.prompt_ms > 0
    assert timings.reply_ms > 0


async def test_greedy_takes_the_likeliest_token(engine: Engine, prompt: tuple[int, ...]) -> None:
    for token in tokens_of(await run(engine, Request(prompt, max_tokens=8, top_logprobs=3))):
        assert token.top[0] == (token.id, token.logprob)
        assert [logprob for _, logprob in token.top] == sorted((logprob for _, logprob in token.top), reverse=True)
        assert len(token.top) == 3


async def test_a_seed_repeats_a_reply(engine: Engine, prompt: tuple[int, ...]) -> None:
    def request(seed: int) -> Request:
        return Request(prompt, max_tokens=20, sampling=Sampling(temperature=1.5, seed=seed))

    # The first one reads the prompt, the others find it in memory: the last bits of the logits can differ between them.
    _, first, second, other = [ids(await run(engine, request(seed))) for seed in (7, 7, 7, 8)]
    assert first == second
    assert first != other


async def test_the_end_token_ends_the_reply_and_is_not_part_of_it(engine: Engine, prompt: tuple[int, ...]) -> None:
    steps = await run(engine, Request(prompt, sampling=Sampling(logit_bias={2: 100.0})))
    assert end_of(steps).reason == "end"
    assert tokens_of(steps) == []


async def test_a_stop_token_of_the_caller_ends_the_reply(engine: Engine, prompt: tuple[int, ...]) -> None:
    plain = ids(await run(engine, Request(prompt, max_tokens=10)))
    last = next(token for at, token in enumerate(plain) if at and token not in plain[:at])
    steps = await run(engine, Request(prompt, max_tokens=10), stop_tokens=frozenset({last}))
    assert end_of(steps).reason == "end"
    assert ids(steps) == plain[: plain.index(last)]


async def test_a_stop_string_ends_the_text_before_it(engine: Engine, prompt: tuple[int, ...]) -> None:
    banned = {token: -100.0 for token in range(engine.vocabulary_size) if not engine.detokenize([token]).isascii()}
    sampling = Sampling(temperature=1.0, seed=3, logit_bias={**banned, 2: -100.0})
    whole = text_of(await run(engine, Request(prompt, max_tokens=40, sampling=sampling)))
    stop = whole[20:23]
    steps = await run(engine, Request(prompt, max_tokens=40, sampling=sampling, stop=(stop.decode(), "never")))
    assert end_of(steps).reason == "stop"
    assert text_of(steps) == whole[: whole.index(stop)]


async def test_the_common_prefix_is_not_read_again(engine: Engine, prompt: tuple[int, ...]) -> None:
    first = await run(engine, Request(prompt, max_tokens=6))
    again = await run(engine, Request(prompt, max_tokens=6))
    assert end_of(again).timings.cached_tokens == len(prompt) - 1
    assert ids(again) == ids(first)
    longer = (*prompt, *ids(first), 5, 6)
    assert end_of(await run(engine, Request(longer, max_tokens=2))).timings.cached_tokens >= len(prompt) + 5


async def test_concurrent_replies_share_a_prefix_and_are_what_they_are_alone(tiny: Path) -> None:
    shared = tuple(range(4, 104))
    requests = [Request((*shared, 110 + index), max_tokens=12) for index in range(4)]
    alone: list[list[int]] = []
    for request in requests:
        async with await Engine.open(tiny) as engine:
            alone.append(ids(await run(engine, request)))
    async with await Engine.open(tiny, sequences=4) as engine:
        await run(engine, requests[0])
        together = await asyncio.gather(*(run(engine, request) for request in requests))
    assert [ids(steps) for steps in together] == alone
    assert all(end_of(steps).timings.cached_tokens >= len(shared) for steps in together)


async def test_more_generations_than_sequences_wait_their_turn(engine: Engine, prompt: tuple[int, ...]) -> None:
    replies = await asyncio.gather(*(run(engine, Request(prompt, max_tokens=5 + extra)) for extra in range(9)))
    assert [len(tokens_of(steps)) for steps in replies] == [5 + extra for extra in range(9)]


async def test_generations_wait_for_room_in_the_context(tiny: Path) -> None:
    async with await Engine.open(tiny, context=256, sequences=4) as engine:
        requests = [Request(tuple(range(4, 84 + index)), max_tokens=60) for index in range(6)]
        replies = await asyncio.gather(*(run(engine, request) for request in requests))
    assert all(len(tokens_of(steps)) == 60 or end_of(steps).reason == "end" for steps in replies)


async def test_a_long_prompt_does_not_starve_a_reply(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "wide.gguf", layers=4, width=256, context=4096)
    async with await Engine.open(path, sequences=2) as engine:
        await run(engine, Request(tuple([7] * 300), max_tokens=1))
        async with (
            aclosing(
                engine.generate(Request((1, 5, 6), max_tokens=900, sampling=Sampling(logit_bias={2: -100})))
            ) as short,
            aclosing(engine.generate(Request(tuple([8] * 3000), max_tokens=1))) as long,
        ):
            await take(short, lambda tokens: len(tokens) > 2)
            meanwhile = 0
            async for step in long:
                if isinstance(step, Prefilled) and step.done == step.total:
                    break
                if isinstance(step, Prefilled) and step.done:
                    meanwhile += len(await take(short, bool))
    assert meanwhile > 3


async def test_a_prompt_that_does_not_fit_is_refused_with_counts(engine: Engine) -> None:
    generation = engine.generate(Request(tuple([5] * 2040)))
    async with aclosing(generation):
        with pytest.raises(ContextFull) as caught:
            await anext(generation)
    assert caught.value.parts == {"prompt": 2040, "context": 2048}
    with pytest.raises(ContextFull):
        await run(engine, Request(tuple([5] * 1900), reserve=200))


async def test_the_reply_gets_the_room_that_is_left(engine: Engine) -> None:
    request = Request(tuple([5] * 2000), max_tokens=10_000, sampling=Sampling(logit_bias={2: -100}))
    steps = await run(engine, request)
    assert (len(tokens_of(steps)), end_of(steps).reason) == (48, "length")


async def test_closing_a_generation_stops_it(engine: Engine, prompt: tuple[int, ...]) -> None:
    endless = Request(prompt, max_tokens=1900, sampling=Sampling(logit_bias={2: -100}))
    for _ in range(6):
        async with aclosing(engine.generate(endless)) as generation:
            await take(generation, lambda tokens: len(tokens) >= 3)
        assert [step async for step in generation] == []
    assert len(tokens_of(await run(engine, Request(prompt, max_tokens=5)))) == 5


async def test_closing_while_the_prompt_is_read_ends_the_reading(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "wide.gguf", layers=4, width=256, context=4096)
    async with await Engine.open(path) as engine:
        long = Request(tuple([9] * 4000), max_tokens=1)
        async with aclosing(engine.generate(long)) as generation:
            assert await anext(generation) == Prefilled(0, 4000, 0)
        async with aclosing(engine.generate(long)) as generation:
            first = await anext(generation)
    assert isinstance(first, Prefilled)
    assert first.cached < 3000


async def test_a_cancelled_neighbour_does_not_change_a_reply(engine: Engine, prompt: tuple[int, ...]) -> None:
    request = Request(prompt, max_tokens=60, sampling=Sampling(logit_bias={2: -100}))
    alone = ids(await run(engine, request))

    async def disturb() -> None:
        for _ in range(10):
            async with aclosing(engine.generate(Request((1, *([9] * 500)), max_tokens=50))) as generation:
                await anext(generation)

    steps, _ = await asyncio.gather(run(engine, request), disturb())
    assert ids(steps) == alone


async def test_leaving_the_engine_cancels_what_runs(tiny: Path) -> None:
    async with await Engine.open(tiny) as engine:
        endless = Request((1, 5), max_tokens=2000, sampling=Sampling(logit_bias={2: -100}))
        running, waiting = engine.generate(endless), engine.generate(endless)
        await anext(running)
    steps = [step async for step in running]
    assert end_of(steps).reason == "cancelled"
    assert [step async for step in waiting][-1] == Stopped("cancelled", steps[-1].timings.__class__(prompt_tokens=2))
    await running.aclose()
    with pytest.raises(FclocalError, match="closed"):
        engine.generate(endless)


async def test_cancelling_the_wait_cancels_the_load(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "wide.gguf", layers=8, width=256)
    seen: list[float] = []
    loading = asyncio.ensure_future(Engine.open(path, progress=seen.append))
    await asyncio.sleep(0)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    assert 1.0 not in seen


async def test_progress_goes_to_one(tiny: Path) -> None:
    seen: list[float] = []
    async with await Engine.open(tiny, progress=seen.append):
        await asyncio.sleep(0)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


async def test_files_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        await Engine.open(tmp_path / "none.gguf")
    (tmp_path / "page.gguf").write_bytes(b"<html>" * 100)
    with pytest.raises(ModelBroken):
        await Engine.open(tmp_path / "page.gguf")


@pytest.mark.parametrize(
    "request_",
    [
        Request(()),
        Request((5,), max_tokens=0),
        Request((99_999,)),
        Request((-1,)),
        Request((5,), top_logprobs=21),
        Request((5,), sampling=Sampling(temperature=float("nan"))),
        Request((5,), sampling=Sampling(repeat_penalty=0.0)),
        Request((5,), sampling=Sampling(logit_bias={99_999: 1.0})),
    ],
)
async def test_impossible_requests_are_refused(engine: Engine, request_: Request) -> None:
    with pytest.raises(UsageError):
        engine.generate(request_)


async def test_impossible_settings_are_refused(tiny: Path) -> None:
    with pytest.raises(UsageError):
        await Engine.open(tiny, kv_type="f13")
    with pytest.raises(UsageError, match="multiple of 32"):
        await Engine.open(tiny, kv_type="q8_0")
    with pytest.raises(UsageError):
        await Engine.open(tiny, context=0)
    with pytest.raises(UsageError):
        await Engine.open(tiny, sequences=0)


async def test_tokenizing_from_threads_while_generating(engine: Engine, prompt: tuple[int, ...]) -> None:
    text = "The weather in Paris: 20 degrees. " * 20
    expected = engine.tokenize(text, special=False)

    def often() -> bool:
        return all(engine.tokenize(text, special=False) == expected for _ in range(100))

    results = await asyncio.gather(
        run(engine, Request(prompt, max_tokens=200)), asyncio.to_thread(often), asyncio.to_thread(often)
    )
    assert results[1:] == [True, True]


async def test_steps_come_while_the_reply_is_written(engine: Engine, prompt: tuple[int, ...]) -> None:
    steps = await run(engine, Request(prompt, max_tokens=30, sampling=Sampling(logit_bias={2: -100})))
    assert sum(isinstance(step, Decoded) for step in steps) == 30

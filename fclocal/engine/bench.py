"""How fast this machine runs a model, as ratios: against the bare llama.cpp loop and the memory's speed.

What is compared is measured in turns, so that a machine that drifts slows both. The best rounds are compared, because
whatever else the machine does only makes a round slower.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from fclocal.engine.engine import Engine
from fclocal.engine.request import Request, Sampling, Stopped
from fclocal.errors import FclocalError
from fclocal.native.context import Batch, Context, Decode, default_threads

PROMPT_TOKENS = 306
REPLY_TOKENS = 32
ROUNDS = 7

_GUIDANCE = {"whitespace_flexible": False, "key_separator": ": ", "item_separator": ", "}
ENUM_SCHEMA = {
    "type": "object",
    "properties": {
        "unit": {"enum": ["celsius", "fahrenheit"]},
        "period": {"enum": ["today", "tomorrow", "this week"]},
        "detail": {"enum": ["short", "long"]},
    },
    "required": ["unit", "period", "detail"],
    "additionalProperties": False,
}
ENUM_GRAMMAR = (
    '%llguidance {}\nstart: "{\\"function\\": \\"get_weather_forecast\\", \\"arguments\\": " %json '
    + json.dumps({**ENUM_SCHEMA, "x-guidance": _GUIDANCE})
    + ' "}"\n'
)


@dataclass(frozen=True, slots=True)
class Speed:
    """Speeds of one model on this machine. Rates are tokens per second; the other numbers are ratios.

    `decode` is our loop against a bare llama_decode loop, `forced` how many times as fast a call of three choices
    comes with forced tokens as with masks alone, `roofline` our loop against reading all weights once a token.
    """

    prompt_rate: float
    decode_rate: float
    bare_rate: float
    decode: float
    forced: float
    forced_seconds: float
    masked_seconds: float
    roofline: float


async def measure(engine: Engine, *, rounds: int = ROUNDS, weights: int | None = None) -> Speed:
    """Measure the model of `engine`, which must have nothing else to do: half a minute for 1.3 billion weights.

    `weights` is the number of bytes read for each token (all weights when None). Raises FclocalError when the model
    ends its replies at once.
    """
    prompt = _prompt(engine)
    begin = perf_counter()
    await _reply(engine, Request(prompt, max_tokens=1, sampling=_endless(engine)))
    prompt_rate = len(prompt) / (perf_counter() - begin)
    bare: list[float] = []
    ours: list[float] = []
    forced: list[float] = []
    masked: list[float] = []
    for _ in range(rounds):
        bare.append(await engine.on_owner(lambda context: bare_decode_rate(context, prompt)))
        ours.append(await _decode_rate(engine, prompt))
        masked.append(await _call_seconds(engine, prompt, force=False))
        forced.append(await _call_seconds(engine, prompt, force=True))
    bandwidth = memory_bandwidth(default_threads(engine.weight_bytes))
    return Speed(
        prompt_rate=prompt_rate,
        decode_rate=max(ours),
        bare_rate=max(bare),
        decode=max(ours) / max(bare),
        forced=min(masked) / min(forced),
        forced_seconds=min(forced),
        masked_seconds=min(masked),
        roofline=max(ours) * (weights or engine.weight_bytes) / bandwidth,
    )


def bare_decode_rate(context: Context, prompt: Sequence[int], *, tokens: int = REPLY_TOKENS) -> float:
    """Tokens per second of a loop that does nothing but llama_decode and take the likeliest token, after `prompt`.

    Uses and clears sequence 0. Runs on the thread that owns `context`.
    """
    context.cut(0, 0)
    batch = Batch(context.batch_size)
    for begin in range(0, len(prompt), batch.capacity):
        batch.clear()
        row = batch.add(prompt[begin : begin + batch.capacity], sequence=0, position=begin, output=True)
        _decode(context, batch)
    token = int(context.logits(row).argmax())
    begun = perf_counter()
    for position in range(len(prompt), len(prompt) + tokens):
        batch.clear()
        row = batch.add((token,), sequence=0, position=position, output=True)
        _decode(context, batch)
        token = int(context.logits(row).argmax())
    seconds = perf_counter() - begun
    context.cut(0, 0)
    return tokens / seconds


def memory_bandwidth(threads: int, *, size: int = 256 << 20, rounds: int = 3) -> float:
    """Bytes per second that `threads` threads read from memory together, at best."""
    share = np.ones(size // threads // 8, np.int64)
    arrays = [share.copy() for _ in range(threads)]
    best = 0.0
    for _ in range(rounds):
        workers = [threading.Thread(target=array.max) for array in arrays]
        begin = perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        best = max(best, sum(array.nbytes for array in arrays) / (perf_counter() - begin))
    return best


def _decode(context: Context, batch: Batch) -> None:
    if context.decode(batch) is not Decode.DONE:
        raise FclocalError("The measurement was interrupted.")


def _prompt(engine: Engine) -> tuple[int, ...]:
    """As many tokens as a block of three functions has."""
    text = "The weather in Paris is fine today, and tomorrow it may rain in London. " * 64
    room = max(1, min(PROMPT_TOKENS, engine.context - 2 * REPLY_TOKENS - 64))
    return (engine.bos() + engine.tokenize(text, special=False))[:room]


def _endless(engine: Engine) -> Sampling:
    return Sampling(logit_bias=dict.fromkeys(engine.end_tokens, -1000.0))


async def _decode_rate(engine: Engine, prompt: tuple[int, ...]) -> float:
    """Tokens per second of a greedy text reply. The end tokens are passed over by drawing them never."""
    stopped = await _reply(engine, Request(prompt, max_tokens=REPLY_TOKENS + 1))
    if stopped.timings.decodes < REPLY_TOKENS // 2:
        stopped = await _reply(engine, Request(prompt, max_tokens=REPLY_TOKENS + 1, sampling=_endless(engine)))
    if not stopped.timings.decodes:
        raise FclocalError(f"{engine.path.name} ends its replies at once: its speed cannot be measured.")
    return 1000 * stopped.timings.decodes / stopped.timings.reply_ms


async def _call_seconds(engine: Engine, prompt: tuple[int, ...], *, force: bool) -> float:
    begin = perf_counter()
    await _reply(engine, Request(prompt, grammar=ENUM_GRAMMAR, max_tokens=256, force=force))
    return perf_counter() - begin


async def _reply(engine: Engine, request: Request) -> Stopped:
    async with aclosing(engine.generate(request)) as generation:
        async for step in generation:
            if isinstance(step, Stopped):
                return step
    raise FclocalError("The measurement was interrupted.")

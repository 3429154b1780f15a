"""fclocal serve against `python -m llama_cpp.server` (PyPI) on the same file, as ratios in one run.

Run: python -m benchmarks.serve [--model FILE] [--rounds N]. Times are medians over rounds in which both servers take
turns; a ratio above 1 means that fclocal is that many times faster. Needs the server extra of llama-cpp-python.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from fclocal.models.names import starter_path
from fclocal.native.gguf import read_header

CONTEXT = 4096
REPLY = 128
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 24},
        "days": {"type": "integer", "minimum": 1, "maximum": 14},
        "units": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "include_hourly_forecast": {"type": "boolean"},
    },
    "required": ["city", "days", "units", "include_hourly_forecast"],
    "additionalProperties": False,
}
TOOL = {
    "type": "function",
    "function": {"name": "get_weather_forecast", "description": "Forecast for a city.", "parameters": SCHEMA},
}


@dataclass(frozen=True, slots=True)
class Contender:
    """A running server."""

    name: str
    url: str
    end_token: int


def main() -> None:
    """Start both, measure, print a table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=starter_path())
    parser.add_argument("--rounds", type=int, default=9)
    words = parser.parse_args()
    end = int(read_header(words.model).number("tokenizer.ggml.eos_token_id"))
    with ExitStack() as stack:
        ours = Contender("fclocal", stack.enter_context(started(fclocal_words, words.model)), end)
        theirs = Contender("llama_cpp.server", stack.enter_context(started(llama_words, words.model)), end)
        rows = asyncio.run(measure(ours, theirs, words.rounds))
    print(f"{'':34}{'fclocal':>12}{'llama_cpp':>12}{'ratio':>8}")
    for name, unit, mine, other in rows:
        ratio = mine / other if unit == "tokens/s" else other / mine
        print(f"{name:34}{mine:>12.1f}{other:>12.1f}{ratio:>8.2f}  {unit}")
    print(json.dumps([{"name": n, "unit": u, "fclocal": a, "llama_cpp.server": b} for n, u, a, b in rows]))


def fclocal_words(model: Path, port: int) -> list[str]:
    return [
        "-m", "fclocal", "serve", "--model", str(model), "--port", str(port), "--context", str(CONTEXT),
        "--parallel", "8", "--queue", "64", "--builtin", "none",
    ]  # fmt: skip


def llama_words(model: Path, port: int) -> list[str]:
    return [
        "-m", "llama_cpp.server", "--model", str(model), "--port", str(port), "--n_ctx", str(CONTEXT),
        "--chat_format", "chatml-function-calling", "--interrupt_requests", "false", "--verbose", "false",
        "--n_gpu_layers", "-1", "--flash_attn", "true",
    ]  # fmt: skip


@contextmanager
def started(words: Callable[[Path, int], list[str]], model: Path) -> Iterator[str]:
    """A server process on a free port; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    quiet = {**os.environ, "FCLOCAL_API_KEY": ""}
    process = subprocess.Popen([sys.executable, *words(model, port)], env=quiet, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                if httpx.get(f"{url}/v1/models").is_success:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
            if process.poll() is not None:
                raise SystemExit(f"{words.__name__}: the server ended with {process.returncode}")
        yield url
    finally:
        process.terminate()
        process.wait(30)


async def measure(ours: Contender, theirs: Contender, rounds: int) -> list[tuple[str, str, float, float]]:
    """Name, unit and both medians of everything."""
    rows: list[tuple[str, str, float, float]] = []
    async with httpx.AsyncClient(timeout=600, limits=httpx.Limits(max_connections=16)) as client:

        async def both(name: str, unit: str, probe: Callable[[Contender, int], Awaitable[float]], times: int) -> None:
            found: dict[str, list[float]] = {ours.name: [], theirs.name: []}
            for contender in (ours, theirs):
                await probe(contender, 1_000_000)
            for at in range(times):
                for contender in (ours, theirs) if at % 2 else (theirs, ours):
                    found[contender.name].append(await probe(contender, at))
            rows.append((name, unit, statistics.median(found[ours.name]), statistics.median(found[theirs.name])))

        await both("first token, new 300-word prompt", "ms", lambda c, at: first_token(client, c, at), rounds)
        await both("first token, same prompt again", "ms", lambda c, at: first_token(client, c, 0), rounds)
        await both("call, named function, end to end", "ms", lambda c, at: call(client, c, at), rounds)
        await both("JSON of a schema, end to end", "ms", lambda c, at: structured(client, c, at), rounds)
        for clients in (1, 4, 8):
            name = f"{clients} clients, {REPLY} tokens each"
            await both(name, "tokens/s", lambda c, at, n=clients: throughput(client, c, n), max(3, rounds // 3))
    return rows


async def first_token(client: httpx.AsyncClient, contender: Contender, at: int) -> float:
    """Milliseconds until the first text of a streamed completion."""
    prompt = f"[INST] Note {at}. " + " ".join(f"item {(at * 7 + n) % 997}" for n in range(150)) + " [/INST]\n\n"
    body = {"prompt": prompt, "max_tokens": 4, "stream": True, "temperature": 0}
    body["logit_bias"] = {str(contender.end_token): -100}
    took = 0.0
    began = time.perf_counter()
    async with client.stream("POST", f"{contender.url}/v1/completions", json=body) as answer:
        async for line in answer.aiter_lines():
            if not took and line.startswith("data: {") and json.loads(line[6:])["choices"][0].get("text"):
                took = 1000 * (time.perf_counter() - began)
    return took


async def call(client: httpx.AsyncClient, contender: Contender, at: int) -> float:
    """Milliseconds of one call of a named function."""
    body = {
        "messages": [{"role": "user", "content": f"Forecast for Oslo for {at % 9 + 1} days, please."}],
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "get_weather_forecast"}},
        "temperature": 0,
        "max_tokens": 256,
    }
    took, value = await timed(client, contender, body)
    json.loads(value["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"])
    return took


async def structured(client: httpx.AsyncClient, contender: Contender, at: int) -> float:
    """Milliseconds of a text reply that is held to a schema."""
    ours = {"type": "json_schema", "json_schema": {"name": "forecast", "schema": SCHEMA}}
    body = {
        "messages": [{"role": "user", "content": f"Forecast for Oslo for {at % 9 + 1} days, as JSON."}],
        "response_format": ours if contender.name == "fclocal" else {"type": "json_object", "schema": SCHEMA},
        "temperature": 0,
        "max_tokens": 256,
    }
    took, value = await timed(client, contender, body)
    json.loads(value["choices"][0]["message"]["content"])
    return took


async def timed(client: httpx.AsyncClient, contender: Contender, body: object) -> tuple[float, dict[str, object]]:
    began = time.perf_counter()
    answer = await client.post(f"{contender.url}/v1/chat/completions", json=body)
    took = 1000 * (time.perf_counter() - began)
    answer.raise_for_status()
    return took, answer.json()


async def throughput(client: httpx.AsyncClient, contender: Contender, clients: int) -> float:
    """Reply tokens per second of `clients` requests that begin together."""

    async def one(at: int) -> int:
        body = {"prompt": f"[INST] Tell story {at}. [/INST]\n\n", "max_tokens": REPLY, "temperature": 0}
        body["logit_bias"] = {str(contender.end_token): -100}
        answer = await client.post(f"{contender.url}/v1/completions", json=body)
        answer.raise_for_status()
        return int(answer.json()["usage"]["completion_tokens"])

    began = time.perf_counter()
    written = sum(await asyncio.gather(*(one(at) for at in range(clients))))
    return written / (time.perf_counter() - began)


if __name__ == "__main__":
    main()

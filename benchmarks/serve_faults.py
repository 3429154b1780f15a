"""The endpoint under bad weather, at full size, with figures.

Run: python -m benchmarks.serve_faults [crowd|leavers|large|slow|random ...]. Each check starts its own server with the
built-in model (`random`: with a model of random weights), prints one JSON object and fails loudly.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import jsonschema
import psutil

from fclocal.models.names import starter_path
from fclocal.native.gguf import read_header
from tests.tiny_model import write_tiny_model

SECONDS = 60


def main() -> None:
    """Run the named checks, or all."""
    checks: dict[str, Callable[[], Awaitable[dict[str, object]]]] = {
        "crowd": crowd,
        "leavers": leavers,
        "large": large,
        "slow": slow,
        "random": random_weights,
    }
    for name in sys.argv[1:] or checks:
        print(json.dumps({"check": name, **asyncio.run(checks[name]())}), flush=True)


class Served:
    """A server process."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    @property
    def memory(self) -> int:
        """Resident bytes."""
        return int(psutil.Process(self.process.pid).memory_info().rss)


@contextmanager
def served(*words: str) -> Iterator[Served]:
    """`fclocal serve` on a free port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fclocal", "serve", "--port", "0", "--builtin", "none", *words],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "FCLOCAL_API_KEY": ""},
    )
    assert process.stderr
    found = None
    while not found:
        line = process.stderr.readline()
        assert line, "the server ended"
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
    # The log has to be read, or the server would block on a full pipe.
    threading.Thread(target=process.stderr.read, daemon=True).start()
    try:
        yield Served(process, int(found[1]))
    finally:
        assert process.poll() is None, f"the server died with {process.returncode}"
        process.terminate()
        process.wait(30)


async def crowd() -> dict[str, object]:
    """64 clients for a minute; each asks for a call that must bring its own nonce back."""
    statuses: Counter[int] = Counter()
    wrong = 0
    times: list[float] = []
    with served("--parallel", "4", "--queue", "16") as server:
        end = time.monotonic() + SECONDS
        limits = httpx.Limits(max_connections=64)
        async with httpx.AsyncClient(base_url=server.url, timeout=120, limits=limits) as client:

            async def visitor(who: int) -> None:
                nonlocal wrong
                rng = random.Random(who)
                while time.monotonic() < end:
                    nonce = f"n{rng.randrange(10**9)}"
                    began = time.perf_counter()
                    status, back = await _call(client, nonce, stream=rng.random() < 0.5)
                    statuses[status] += 1
                    if status == 200:
                        times.append(time.perf_counter() - began)
                        wrong += back != nonce
                    else:
                        await asyncio.sleep(0.2)

            watch = asyncio.create_task(_health(server, end))
            await asyncio.gather(*(visitor(who) for who in range(64)))
            health = await watch
    assert wrong == 0 and set(statuses) <= {200, 429}, (wrong, statuses)
    return {
        "clients": 64,
        "seconds": SECONDS,
        "statuses": dict(statuses),
        "lost_or_mixed_up": wrong,
        "reply_s": _spread(times),
        "health_ms": health,
    }


async def leavers() -> dict[str, object]:
    """50 disconnects at random points, whole and streamed: how long the reply goes on."""
    stops: list[float] = []
    rng = random.Random(1)
    with served("--parallel", "2") as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            for at in range(50):
                body = json.dumps({**_endless(), "stream": at % 2 == 0}).encode()
                _, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(_head(server.port, len(body)) + body)
                await writer.drain()
                await asyncio.sleep(rng.random() * 1.5)
                writer.transport.abort()
                began = time.perf_counter()
                while (await client.get("/fclocal/state")).json()["serving"]:  # noqa: ASYNC110  # another process
                    await asyncio.sleep(0.002)
                stops.append(1000 * (time.perf_counter() - began))
    spread = _spread(stops)
    assert spread["p99"] < 1000
    return {"disconnects": 50, "stop_ms": spread}


async def large() -> dict[str, object]:
    """A body of 300 MB, sized and chunked: the status, and how much memory grows at most."""
    growth: list[float] = []
    statuses: list[int] = []
    with served() as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
            await client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "x"}]})

            async def parts() -> object:
                for _ in range(300):
                    yield b"x" * 1_000_000

            for sized in (True, False):
                before, peak = server.memory, server.memory
                headers = {"Content-Type": "application/json"} | ({"Content-Length": "300000000"} if sized else {})
                job = asyncio.create_task(client.post("/v1/chat/completions", content=parts(), headers=headers))  # type: ignore[arg-type]
                while not job.done():
                    peak = max(peak, server.memory)
                    await asyncio.sleep(0.005)
                statuses.append(job.result().status_code)
                growth.append((peak - before) / (1 << 20))
    assert statuses == [413, 413] and max(growth) < 32, (statuses, growth)
    return {"statuses": statuses, "memory_growth_mb": [round(each, 1) for each in growth]}


async def slow() -> dict[str, object]:
    """500 clients that send a byte a second: /health meanwhile, and when they are cut off."""
    closed: list[float] = []
    with served() as server:

        async def trickler(at: int) -> None:
            began = time.perf_counter()
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            if at % 2:
                writer.write(_head(server.port, 5000))
            with suppress(ConnectionError):
                while not reader.at_eof():
                    writer.write(b"X")
                    await writer.drain()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(1), 1)
            closed.append(time.perf_counter() - began)
            writer.close()

        calm = await _health(server, time.monotonic() + 5)
        tricklers = [asyncio.create_task(trickler(at)) for at in range(500)]
        await asyncio.sleep(0.5)
        health = await _health(server, time.monotonic() + 15)
        await asyncio.gather(*tricklers)
    assert health["p99"] < 200 and max(closed) < 40, (calm, health, _spread(closed))
    return {"slow_clients": 500, "calm_health_ms": calm, "health_ms": health, "closed_after_s": _spread(closed)}


async def random_weights() -> dict[str, object]:
    """300 required calls from random weights at temperature 2: how many are valid under their schema."""
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "minLength": 1, "maxLength": 20},
            "day": {"type": "string", "format": "date"},
            "people": {"type": "integer", "minimum": 1, "maximum": 12},
            "room": {"anyOf": [{"enum": ["a", "b"]}, {"type": "object", "properties": {"floor": {"type": "integer"}}}]},
            "tags": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]{2,5}$"}, "maxItems": 3},
        },
        "required": ["city", "day", "people"],
        "additionalProperties": False,
    }
    tool = {"type": "function", "function": {"name": "book", "parameters": schema}}
    body = {"messages": [{"role": "user", "content": "?"}], "tools": [tool], "tool_choice": "required"}
    body |= {"temperature": 2, "max_tokens": 400}
    statuses: Counter[int] = Counter()
    valid = calls = 0
    with tempfile.TemporaryDirectory() as folder:
        model = write_tiny_model(Path(folder) / "random.gguf", context=4096)
        with served("--model", str(model), "--queue", "512") as server:
            async with httpx.AsyncClient(base_url=server.url, timeout=600) as client:
                bodies = ({**body, "seed": seed} for seed in range(300))
                answers = await asyncio.gather(*(client.post("/v1/chat/completions", json=each) for each in bodies))
    for answer in answers:
        statuses[answer.status_code] += 1
        if answer.status_code == 200:
            made = answer.json()["choices"][0]["message"]["tool_calls"]
            calls += len(made)
            valid += sum(_is_valid(call["function"]["arguments"], schema) for call in made)
    assert statuses == {200: 300} and valid == calls, (statuses, valid, calls)
    return {"replies": dict(statuses), "calls": calls, "valid_calls": valid}


def _is_valid(text: str, schema: dict[str, object]) -> bool:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft202012Validator(schema, format_checker=checker).is_valid(json.loads(text))


async def _call(client: httpx.AsyncClient, nonce: str, *, stream: bool) -> tuple[int, str]:
    schema = {"type": "object", "properties": {"nonce": {"const": nonce}}, "required": ["nonce"]}
    tool = {"type": "function", "function": {"name": "echo", "parameters": schema}}
    body = {"messages": [{"role": "user", "content": nonce}], "tools": [tool], "tool_choice": "required"}
    body |= {"parallel_tool_calls": False, "stream": stream, "max_tokens": 100}
    answer = await client.post("/v1/chat/completions", json=body)
    if answer.status_code != 200:
        return answer.status_code, ""
    if not stream:
        text = answer.json()["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
        return 200, str(json.loads(text)["nonce"])
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    deltas = [json.loads(line)["choices"][0]["delta"] for line in lines[:-1]]
    pieces = (call["function"].get("arguments", "") for delta in deltas for call in delta.get("tool_calls", ()))
    return (200, str(json.loads("".join(pieces))["nonce"])) if lines[-1] == "[DONE]" else (200, "")


async def _health(server: Served, end: float) -> dict[str, float]:
    """Milliseconds of /health, ten times a second until `end`, each on a new connection."""
    times: list[float] = []
    request = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n\r\n".encode()
    while time.monotonic() < end:
        began = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request)
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        times.append(1000 * (time.perf_counter() - began))
        writer.close()
        await asyncio.sleep(0.1)
    return _spread(times)


def _endless() -> dict[str, object]:
    end = int(read_header(starter_path()).number("tokenizer.ggml.eos_token_id"))
    return {"prompt": "[INST] x [/INST]", "n_predict": 3500, "temperature": 2.0, "logit_bias": [[end, False]]}


def _head(port: int, length: int) -> bytes:
    lines = ["POST /completion HTTP/1.1", f"Host: 127.0.0.1:{port}", "Content-Type: application/json"]
    return ("\r\n".join([*lines, f"Content-Length: {length}"]) + "\r\n\r\n").encode()


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "p50": round(statistics.median(ordered), 3),
        "p99": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 3),
        "max": round(ordered[-1], 3),
    }


if __name__ == "__main__":
    main()

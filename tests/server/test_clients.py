"""Several clients at once: nothing mixed up, nothing kept going for a client that left, nothing left on shutdown."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
from contextlib import suppress
from pathlib import Path

import httpx
import requests

from fclocal.runtime import Options
from fclocal.server.settings import Limits
from tests.server.conftest import Running, Start, endless
from tests.tiny_model import write_tiny_model


def nonce_tool(nonce: str) -> dict[str, object]:
    schema = {
        "type": "object",
        "properties": {"nonce": {"const": nonce}, "n": {"type": "integer"}},
        "required": ["nonce", "n"],
    }
    return {"type": "function", "function": {"name": f"f_{nonce}", "parameters": schema}}


async def one_call(client: httpx.AsyncClient, nonce: str, *, stream: bool) -> str:
    """The nonce that came back, whole or streamed, after as many tries as a full queue takes."""
    body = {"messages": [{"role": "user", "content": nonce}], "tools": [nonce_tool(nonce)], "tool_choice": "required"}
    body |= {"model": "starter", "parallel_tool_calls": False, "temperature": 1.5, "stream": stream}
    while True:
        answer = await client.post("/v1/chat/completions", json=body)
        if answer.status_code != 429:
            break
        await asyncio.sleep(0.05)
    answer.raise_for_status()
    if not stream:
        function = answer.json()["choices"][0]["message"]["tool_calls"][0]["function"]
        return str(json.loads(function["arguments"])["nonce"])
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    deltas = [json.loads(line)["choices"][0]["delta"] for line in lines[:-1]]
    calls = [call["function"] for delta in deltas for call in delta.get("tool_calls", ())]
    return str(json.loads("".join(call.get("arguments", "") for call in calls))["nonce"])


async def test_no_reply_is_lost_or_mixed_up(served: Running) -> None:
    async with httpx.AsyncClient(base_url=served.url, timeout=60, limits=httpx.Limits(max_connections=64)) as client:
        nonces = [f"{random.randrange(10**9)}" for _ in range(24)]
        jobs = (one_call(client, nonce, stream=at % 2 == 0) for at, nonce in enumerate(nonces))
        assert await asyncio.gather(*jobs) == nonces


def serving(served: Running) -> int:
    return int(requests.get(f"{served.url}/fclocal/state", timeout=20).json()["serving"])


def wait_until_free(served: Running, seconds: float) -> None:
    began = time.perf_counter()
    while serving(served):
        assert time.perf_counter() - began < seconds


def test_a_client_that_leaves_stops_its_reply(start: Start) -> None:
    served = start(limits=Limits(parallel=2, queue=4))
    rng = random.Random(3)
    for at in range(8):
        body = json.dumps({**endless(), "stream": at % 2 == 0}).encode()
        head = f"POST /completion HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nContent-Type: application/json\r\n"
        with socket.create_connection(("127.0.0.1", served.port)) as client:
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            deadline = time.perf_counter() + rng.random() * 0.3
            client.settimeout(0.3)
            while time.perf_counter() < deadline:
                with suppress(TimeoutError):
                    client.recv(64)
        wait_until_free(served, 6)  # alone it would go on for 15 s and more
    text = requests.get(f"{served.url}/metrics", timeout=20).text
    assert 'route="/completion",status="499"' in text


def test_shutdown_ends_replies_and_frees_the_model(start: Start) -> None:
    served = start(limits=Limits(shutdown=1))
    with requests.post(f"{served.url}/completion", json={**endless(), "stream": True}, stream=True, timeout=60) as busy:
        chunks = busy.iter_content(1)
        assert next(chunks)
        began = time.perf_counter()
        served.stop()
        assert time.perf_counter() - began < 8
        last = b"".join(chunks).splitlines()[-2]
        assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == 503
    assert served.server.endpoint.models.loaded is None


async def test_the_most_hostile_sampler_makes_only_valid_calls(start: Start, tmp_path: Path) -> None:
    tiny = write_tiny_model(tmp_path / "tiny.gguf")
    options = Options(model=str(tiny), builtin=("none",), sequences=4, context=4096)
    served = start(options=options, named=True, limits=Limits(queue=64))
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 12},
            "days": {"type": "integer", "minimum": 1, "maximum": 9},
            "units": {"enum": ["C", "F"]},
            "tags": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3},
        },
        "required": ["city", "days", "units"],
        "additionalProperties": False,
    }
    tool = {"type": "function", "function": {"name": "weather", "parameters": schema}}
    body = {
        "messages": [{"role": "user", "content": "?"}],
        "tools": [tool],
        "tool_choice": "required",
        "temperature": 2,
    }
    async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
        bodies = ({**body, "seed": seed, "parallel_tool_calls": False, "max_tokens": 300} for seed in range(24))
        answers = await asyncio.gather(*(client.post("/v1/chat/completions", json=each) for each in bodies))
    for answer in answers:
        arguments = json.loads(answer.json()["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"])
        assert set(arguments) <= {"city", "days", "units", "tags"} and len(arguments["city"]) <= 12
        assert arguments["units"] in ("C", "F") and 1 <= arguments["days"] <= 9


def test_metrics_are_prometheus_text(served: Running) -> None:
    answer = requests.get(f"{served.url}/metrics", timeout=20)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in answer.text.splitlines():
        assert line.startswith(("# HELP fclocal_", "# TYPE fclocal_", "fclocal_"))
        if not line.startswith("#"):
            float(line.rpartition(" ")[2])

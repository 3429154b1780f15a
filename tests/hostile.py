"""Calls from random weights at temperature 2: how many are finished, and valid under an independent validator.

`python -m tests.hostile 1000` prints the count; the suite runs fewer.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from contextlib import aclosing
from pathlib import Path

import jsonschema_rs

from fclocal.chat.model import Model
from fclocal.chat.receipt import plain
from fclocal.chat.reply import ReplyRequest, reply
from fclocal.dialects.select import pick
from fclocal.engine.engine import Engine
from fclocal.engine.request import Sampling
from fclocal.errors import FclocalError
from fclocal.events import CallReady
from fclocal.functions import Function
from fclocal.messages import UserMessage
from tests.hostile_schemas import schemas
from tests.tiny_model import write_tiny_model


async def count_valid(path: Path, calls: int, *, layouts: tuple[str, ...] = ("one-line", "indented")) -> list[str]:
    """Make `calls` calls with the model at `path`, schema after schema, and describe those that went wrong."""
    failures: list[str] = []
    every = schemas()
    async with await Engine.open(path, context=4096) as engine:
        for number in range(calls):
            schema = every[number % len(every)]
            layout = layouts[number // len(every) % len(layouts)]
            model = Model("random", engine, pick("trelis-llama", layout=layout), "0" * 64, "F32")  # type: ignore[arg-type]
            wrong = await _one(model, Function("probe", "Try it.", schema), number)
            if wrong:
                failures.append(f"call {number}, {layout}, {json.dumps(schema)[:300]}: {wrong}")
    return failures


async def _one(model: Model, function: Function, seed: int) -> str:
    sampling = Sampling(temperature=2.0, seed=seed)
    messages = (UserMessage("go"),)
    request = ReplyRequest(messages, (function,), choice="required", max_calls=1, sampling=sampling)
    made: list[CallReady] = []
    try:
        async with aclosing(reply(model, request)) as events:
            made = [event async for event in events if isinstance(event, CallReady)]
    except FclocalError as error:
        return str(error)
    if len(made) != 1:
        return f"{len(made)} calls"
    try:
        validator = jsonschema_rs.validator_for(dict(function.parameters), validate_formats=True)
        validator.validate(plain(made[0].call.arguments))
    except jsonschema_rs.ValidationError as error:
        return f"{json.dumps(plain(made[0].call.arguments))[:200]}: {error.message[:200]}"
    return ""


def main() -> None:
    """Print what went wrong and how many did not."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder:
        failures = asyncio.run(count_valid(write_tiny_model(Path(folder) / "random.gguf", context=4096), calls))
    for failure in failures:
        print(failure)
    print(f"{calls - len(failures)} of {calls} calls finished and valid, over {len(schemas())} schemas")


if __name__ == "__main__":
    main()

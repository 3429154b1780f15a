"""Real servers in a thread of this process, on a free port of 127.0.0.1, with the built-in model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from fclocal.config import Config
from fclocal.engine.request import Sampling
from fclocal.models.names import starter_path
from fclocal.native.gguf import read_header
from fclocal.runtime import Options
from fclocal.server.run import Server
from fclocal.server.settings import Settings

Start = Callable[..., "Running"]


class Running:
    """A server that runs until `stop`."""

    def __init__(self, settings: Settings) -> None:
        self.server = Server(settings, Config())
        self.port = self.server.settings.port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=lambda: asyncio.run(self.server.serve()))
        self._thread.start()

    def stop(self) -> None:
        self.server.stop()
        self._thread.join(30)
        assert not self._thread.is_alive()


@contextmanager
def running(**changes: object) -> Iterator[Running]:
    settings = Settings(
        options=Options(builtin=("none",), sequences=4, context=4096),
        port=0,
        sampling=Sampling(seed=7),
        seeded=True,
        max_tokens=64,
    )
    started = Running(replace(settings, **changes))  # type: ignore[arg-type]  # fields of Settings
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Hub cache in which nothing of this machine's user is seen."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(home / "hf"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield home


@pytest.fixture(scope="session")
def served(homes: Path) -> Iterator[Running]:
    """One server for every test that does not need its own."""
    if not starter_path().exists():
        pytest.skip("the starter model is not there yet")
    with running() as started:
        yield started


@pytest.fixture
def start(homes: Path) -> Iterator[Start]:
    """Start servers with their own settings; they stop with the test."""
    with ExitStack() as stack:
        yield lambda **changes: stack.enter_context(running(**changes))


def endless() -> dict[str, object]:
    """A completion of the starter that ends only at its limit: its end token is forbidden."""
    end = int(read_header(starter_path()).number("tokenizer.ggml.eos_token_id"))
    return {"prompt": "[INST] x [/INST]", "n_predict": 3000, "temperature": 2.0, "logit_bias": [[end, False]]}


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "The city"}},
            "required": ["city"],
        },
    },
}
BOOK = {
    "type": "function",
    "function": {
        "name": "book_table",
        "description": "Book a table.",
        "parameters": {
            "type": "object",
            "properties": {"people": {"type": "integer", "minimum": 1, "maximum": 20}, "day": {"enum": ["mon", "tue"]}},
            "required": ["people", "day"],
        },
    },
}

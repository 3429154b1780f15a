"""A tiny random-weight model and an engine on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from fclocal.engine.engine import Engine
from fclocal.engine.generation import Generation
from fclocal.engine.request import Decoded, Step, Stopped, Token
from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a random model with 2,048 tokens of context."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FCLOCAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest_asyncio.fixture
async def engine(tiny: Path) -> AsyncIterator[Engine]:
    async with await Engine.open(tiny, sequences=4) as engine:
        yield engine


@pytest.fixture
def prompt(engine: Engine) -> tuple[int, ...]:
    return engine.bos() + engine.tokenize("What is the weather in Paris?", special=False)


def tokens_of(steps: list[Step]) -> list[Token]:
    """The reply in `steps`, after checking that its parts are numbered without gaps."""
    tokens: list[Token] = []
    for step in steps:
        if isinstance(step, Decoded):
            assert step.start == len(tokens)
            tokens += step.tokens
    return tokens


def text_of(steps: list[Step]) -> bytes:
    return b"".join(token.piece for token in tokens_of(steps))


def end_of(steps: list[Step]) -> Stopped:
    stopped = steps[-1]
    assert isinstance(stopped, Stopped)
    assert sum(isinstance(step, Stopped) for step in steps) == 1
    return stopped


async def take(generation: Generation, enough: Callable[[list[Token]], bool]) -> list[Token]:
    """Reply tokens until `enough` of them."""
    tokens: list[Token] = []
    async for step in generation:
        if isinstance(step, Decoded):
            tokens += step.tokens
            if enough(tokens):
                break
    return tokens

"""The queue, and which model answers: bounded, in order, switched, unloaded, and alive after a failed load."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import requests

from fclocal import paths
from fclocal.chat.model import Model
from fclocal.config import Config
from fclocal.errors import ModelBroken, ModelMissing
from fclocal.models.names import starter_path
from fclocal.runtime import Chosen, Options
from fclocal.server.failures import CannotLoad, Rejected
from fclocal.server.line import Line
from fclocal.server.models import Models
from fclocal.server.settings import Limits
from tests.scripted import scripted_model
from tests.server.conftest import Start, endless


async def test_a_full_line_says_when_to_come_back() -> None:
    line = Line(parallel=2, queue=1)
    order: list[str] = []
    gate = asyncio.Event()

    async def visit(name: str) -> None:
        async with line.turn():
            order.append(name)
            await gate.wait()

    visits = [asyncio.create_task(visit(name)) for name in "abc"]
    await asyncio.sleep(0)
    assert (line.serving, line.waiting) == (2, 1)
    with pytest.raises(Rejected) as full:
        async with line.turn():
            pass
    assert full.value.failure.status == 429
    assert 1 <= int(full.value.failure.headers["Retry-After"]) <= 60
    gate.set()
    await asyncio.gather(*visits)
    assert order == ["a", "b", "c"] and line.inside == 0


async def test_who_leaves_the_line_frees_the_place() -> None:
    line = Line(parallel=1, queue=1)
    async with line.turn():
        waiting = asyncio.create_task(line.turn().__aenter__())
        await asyncio.sleep(0)
        assert line.waiting == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert line.waiting == 0
    async with line.turn():
        assert line.inside == 1


class Garage:
    """Opens scripted models and keeps a diary."""

    def __init__(self) -> None:
        self.diary: list[str] = []
        self.broken: set[str] = set()

    @asynccontextmanager
    async def open(self, chosen: Chosen, _options: Options) -> AsyncIterator[Model]:
        name = chosen.source.path.stem
        if name in self.broken:
            raise ModelBroken(f"/secret/place/{name}.gguf is cut off.")
        self.diary.append(f"+{name}")
        try:
            yield scripted_model("hi")
        finally:
            self.diary.append(f"-{name}")


@pytest.fixture
def two(homes: Path) -> tuple[Path, str]:
    """A default model's path and the name of another one that is installed."""
    other = paths.data_folder() / "models" / "second.gguf"
    other.parent.mkdir(parents=True)
    shutil.copy(starter_path(), other)
    return starter_path(), "second"


def models(garage: Garage, path: Path, *, named: bool = True, keep_alive: float | None = None) -> Models:
    return Models(Options(model=str(path)), Config(), opener=garage.open, named=named, keep_alive=keep_alive)


async def test_loads_once_and_switches_when_the_other_is_free(two: tuple[Path, str]) -> None:
    garage = Garage()
    pool = models(garage, two[0])
    first, second = await pool.find(None), await pool.find(two[1])
    switched = asyncio.Event()

    async def use_second() -> None:
        async with pool.lease(second):
            switched.set()

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(pool.lease(first))
        await stack.enter_async_context(pool.lease(first))
        waiting = asyncio.create_task(use_second())
        await asyncio.sleep(0.01)
        assert garage.diary == ["+starter"] and not switched.is_set()
    await waiting
    assert garage.diary == ["+starter", "-starter", "+second"]
    await pool.aclose()
    assert garage.diary[-1] == "-second"


async def test_names(two: tuple[Path, str]) -> None:
    open_pool = models(Garage(), two[0], named=True)
    assert (await open_pool.find("gpt-4o")).source.path == two[0]
    assert (await open_pool.find("second:latest")).source.path.stem == "second"
    strict = models(Garage(), two[0], named=False)
    for name in ("gpt-4o", "/etc/passwd", "../x.gguf", "a b", "x" * 5000, "hf.co/a/b"):
        with pytest.raises(ModelMissing):
            await strict.find(name)


async def test_an_idle_model_is_unloaded_and_a_busy_one_is_not(two: tuple[Path, str]) -> None:
    garage = Garage()
    pool = models(garage, two[0], keep_alive=0.01)
    chosen = await pool.find(None)
    async with pool.lease(chosen):
        await asyncio.sleep(0.03)
        assert pool.loaded
    async with pool.lease(chosen, keep_alive=-1):
        pass
    await asyncio.sleep(0.03)
    assert pool.loaded
    async with pool.lease(chosen, keep_alive=0):
        pass
    await asyncio.sleep(0.03)
    assert pool.loaded is None and garage.diary == ["+starter", "-starter"]


async def test_a_failed_load_is_said_and_the_next_try_works(two: tuple[Path, str]) -> None:
    garage = Garage()
    garage.broken.add("starter")
    pool = models(garage, two[0])
    chosen = await pool.find(None)
    with pytest.raises(CannotLoad, match="cut off"):
        async with pool.lease(chosen):
            pass
    assert pool.state == "unloaded" and pool.problem
    garage.broken.clear()
    async with pool.lease(chosen) as model:
        assert model.name == "scripted"
    await pool.aclose()


def test_a_broken_model_gives_503_and_the_server_lives(start: Start, tmp_path: Path) -> None:
    broken = tmp_path / "cut.gguf"
    data = starter_path().read_bytes()
    broken.write_bytes(data)
    served = start(options=Options(model=str(broken), builtin=("none",)), named=True)
    assert requests.get(f"{served.url}/props", timeout=20).ok
    broken.write_bytes(data[: len(data) // 2])
    body = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 2}
    answer = requests.post(f"{served.url}/v1/chat/completions", json=body, timeout=30)
    assert answer.status_code == 503 and str(tmp_path) not in answer.text and "Retry-After" in answer.headers
    assert requests.get(f"{served.url}/health", timeout=20).ok
    broken.write_bytes(data)
    again = requests.post(f"{served.url}/v1/chat/completions", json={**body, "model": "whatever"}, timeout=30)
    assert again.status_code == 200 and again.json()["model"] == "cut"


def test_a_full_server_answers_429_in_each_shape(start: Start) -> None:
    served = start(limits=Limits(parallel=1, queue=0))
    body = {**endless(), "stream": True}
    with requests.post(f"{served.url}/completion", json=body, stream=True, timeout=60) as busy:
        chunks = busy.iter_content(1)
        assert next(chunks)
        chat = {"model": "starter", "messages": [{"role": "user", "content": "x"}], "max_tokens": 5}
        for path in ("/v1/chat/completions", "/v1/messages", "/api/chat"):
            answer = requests.post(served.url + path, json=chat, timeout=20)
            assert answer.status_code == 429 and int(answer.headers["Retry-After"]) >= 1 and "error" in answer.json()
        assert requests.get(f"{served.url}/health", timeout=20).ok

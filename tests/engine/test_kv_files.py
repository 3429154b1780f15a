"""KV states of stable prefixes across engines."""

from __future__ import annotations

import os
from contextlib import aclosing
from pathlib import Path

import pytest

from fclocal.engine import kv_files
from fclocal.engine.engine import Engine
from fclocal.engine.kv_files import KvFiles, worth_keeping
from fclocal.engine.request import Request, Step
from tests.engine.conftest import end_of, tokens_of

BLOCK = tuple(4 + at % 300 for at in range(400))


async def run(engine: Engine, request: Request) -> list[Step]:
    async with aclosing(engine.generate(request)) as generation:
        return [step async for step in generation]


@pytest.fixture
def always_worth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kv_files, "WORTH_SECONDS", 0.0)
    monkeypatch.setattr(kv_files, "WORTH_TIMES", 0.0)


@pytest.mark.usefixtures("always_worth")
async def test_another_engine_starts_from_the_stable_prefix(tiny: Path, private_cache: Path) -> None:
    first, second = Request((*BLOCK, 7, 8), max_tokens=8, stable=400), Request((*BLOCK, 9), max_tokens=8, stable=400)
    async with await Engine.open(tiny) as engine:
        steps = await run(engine, first)
        expected = await run(engine, second)
        assert end_of(steps).timings.cached_tokens == 0
    assert [path.suffix for path in (private_cache / "kv").iterdir()] == [".kv"]
    async with await Engine.open(tiny) as engine:
        again = await run(engine, second)
        assert end_of(again).timings.cached_tokens == 400
        assert [token.id for token in tokens_of(again)] == [token.id for token in tokens_of(expected)]
    async with await Engine.open(tiny, kv_type="f32") as engine:
        assert end_of(await run(engine, second)).timings.cached_tokens == 0
    async with await Engine.open(tiny, keep_prefixes=False) as engine:
        assert end_of(await run(engine, second)).timings.cached_tokens == 0


@pytest.mark.usefixtures("always_worth")
async def test_a_damaged_state_is_read_again(tiny: Path, private_cache: Path) -> None:
    request = Request((*BLOCK, 7, 8), max_tokens=8, stable=400)
    async with await Engine.open(tiny) as engine:
        expected = await run(engine, request)
    (file,) = (private_cache / "kv").iterdir()
    data = file.read_bytes()
    for damaged in (b"", data[:1000], data[:-1], data[:5000] + b"x" + data[5001:], b"x" * len(data)):
        file.write_bytes(damaged)
        async with await Engine.open(tiny) as engine:
            steps = await run(engine, request)
        assert end_of(steps).timings.cached_tokens == 0
        assert [token.id for token in tokens_of(steps)] == [token.id for token in tokens_of(expected)]


@pytest.mark.usefixtures("always_worth")
async def test_short_prefixes_stay_in_memory(tiny: Path, private_cache: Path) -> None:
    async with await Engine.open(tiny) as engine:
        await run(engine, Request(BLOCK[:200], max_tokens=2, stable=100))
        await run(engine, Request(BLOCK[:200], max_tokens=2))
    assert not (private_cache / "kv").exists()


def test_only_what_saves_time_is_kept() -> None:
    assert worth_keeping(tokens=309, tokens_per_second=138, size=61_000_000)
    assert not worth_keeping(tokens=309, tokens_per_second=3000, size=61_000_000)
    assert not worth_keeping(tokens=150, tokens_per_second=20_000, size=1_000_000)
    assert not worth_keeping(tokens=150, tokens_per_second=0, size=1)


def test_the_oldest_states_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kv_files, "MAX_BYTES", 350)
    files = KvFiles(tmp_path, "model")
    for index in range(4):
        files.save([index], b"x" * 100)
        files.close()
        os.utime(next(path for path in tmp_path.iterdir() if path.stat().st_mtime > 1000), (index, index))
    assert files.load([0]) is None
    assert files.load([3]) == b"x" * 100
    assert KvFiles(tmp_path, "another model").load([3]) is None


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    files = KvFiles(tmp_path / "file", "model")
    files.save([1], b"x")
    files.close()
    assert files.load([1]) is None

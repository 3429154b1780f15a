"""The measurements run on any model and leave the engine usable."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from fclocal.engine import bench
from fclocal.engine.bench import ENUM_GRAMMAR, measure, memory_bandwidth
from fclocal.engine.engine import Engine
from fclocal.engine.request import Request
from tests.engine.conftest import end_of


async def test_speeds_are_measured_and_the_engine_goes_on(
    engine: Engine, prompt: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "memory_bandwidth", lambda threads: 1e10 / threads)
    speed = await measure(engine, rounds=1)
    assert speed.prompt_rate > 0
    assert speed.bare_rate > 0
    assert 0 < speed.decode < 10
    assert 0 < speed.forced < 100
    assert speed.roofline > 0
    async with aclosing(engine.generate(Request(prompt, max_tokens=3))) as generation:
        assert end_of([step async for step in generation]).reason == "length"


async def test_forced_tokens_save_decodes(engine: Engine, prompt: tuple[int, ...]) -> None:
    decodes: dict[bool, int] = {}
    for force in (True, False):
        request = Request(prompt, grammar=ENUM_GRAMMAR, force=force)
        async with aclosing(engine.generate(request)) as generation:
            decodes[force] = end_of([step async for step in generation]).timings.decodes
    assert decodes[True] <= 3
    assert decodes[False] > 10 * decodes[True]


def test_memory_bandwidth_is_plausible() -> None:
    assert 1e8 < memory_bandwidth(2, size=16 << 20, rounds=1) < 1e13

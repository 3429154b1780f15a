from __future__ import annotations

import asyncio
import threading

import pytest

from fclocal.engine import generation
from fclocal.engine.generation import Inbox
from fclocal.engine.request import Decoded, Prefilled, Stopped
from fclocal.events import Timings


async def test_tokens_that_come_fast_wait_for_the_next_wake_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(generation, "monotonic", lambda: now)
    inbox = Inbox()
    wakes: list[object] = []
    monkeypatch.setattr(inbox, "call", wakes.append)
    inbox.deliver(Prefilled(3, 3, 0))
    inbox.deliver(Decoded(0, ()))
    assert len(wakes) == 2, "the first token is shown at once"
    for at in range(1, 4):
        inbox.deliver(Decoded(at, ()))
    assert len(wakes) == 2
    now += 0.05
    inbox.deliver(Decoded(4, ()))
    assert len(wakes) == 3, "a slow model's tokens are shown one by one"
    inbox.deliver(Stopped("end", Timings()))
    assert len(wakes) == 4, "the end never waits"
    found = [await inbox.next() for _ in range(7)]
    assert [step.start for step in found if isinstance(step, Decoded)] == [0, 1, 2, 3, 4]
    assert isinstance(found[6], Stopped)


async def test_what_another_thread_delivers_arrives_in_order() -> None:
    inbox = Inbox()

    def write() -> None:
        for at in range(1000):
            inbox.deliver(Decoded(at, ()))
        inbox.deliver(Stopped("end", Timings()))

    thread = threading.Thread(target=write)
    thread.start()
    starts = []
    async with asyncio.timeout(30):
        while isinstance(step := await inbox.next(), Decoded):
            starts.append(step.start)
    thread.join()
    assert starts == list(range(1000))

"""One generation on the asyncio side: an iterator of steps that can be rewound and closed. Knows no llama.cpp."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Self

from fclocal.engine.owner import Owner
from fclocal.engine.request import Decoded, Step, Stopped
from fclocal.engine.scheduler import Job, Scheduler

# Tokens that come faster than this wait for the next one: waking the event loop for each costs a small model a tenth of
# its speed.
WAKE_SECONDS = 0.004


class Generation:
    """Iterate to get steps; close it when done (`async with aclosing(generation)`), which frees its KV slot.

    Iteration ends after Stopped, and begins again after `rewind`. Errors of the engine are raised here as FclocalError.
    Belongs to the event loop it was made on.
    """

    def __init__(self, owner: Owner, inbox: Inbox, job: Job) -> None:
        self._owner = owner
        self._inbox = inbox
        self._job = job
        self._seen = 0
        self._over = False
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Step:
        if self._over or self._closed:
            raise StopAsyncIteration
        outcome = await self._inbox.next()
        match outcome:
            case Exception():
                self._over = True
                raise outcome
            case Decoded(start=start, tokens=tokens):
                self._seen = start + len(tokens)
            case Stopped():
                self._over = True
        return outcome

    def rewind(self, keep: int, *, grammar: str | None = None) -> None:
        """Keep the first `keep` reply tokens and generate again from there, also after Stopped.

        What the consumer has seen after them is rejected: the new tokens differ from it at its last sampled token at
        the latest. Steps that are queued are dropped. `grammar`, when given, replaces the grammar; it must accept the
        kept tokens. Raises ValueError when `keep` is more than was seen.
        """
        if self._closed:
            raise RuntimeError("the generation is closed")
        if not 0 <= keep <= self._seen:
            raise ValueError(f"{keep} of {self._seen} reply tokens cannot be kept")
        epoch = self._inbox.restart()
        self._owner.post(partial(_rewind, self._job, self._inbox, epoch, keep, self._seen, grammar), urgent=True)
        self._seen = keep
        self._over = False

    async def aclose(self) -> None:
        """Stop generating (within one token, also while the prompt is read) and free the slot."""
        if self._closed:
            return
        self._closed = True
        released = asyncio.Event()
        self._inbox.restart()
        if self._owner.post(partial(_release, self._job, self._inbox, released), urgent=True):
            await released.wait()


class Inbox:
    """Carries outcomes from the owner thread to the event loop. Each rewind begins a new epoch; what the owner thread
    sends for an earlier one is dropped."""

    def __init__(self) -> None:
        self.epoch = 0
        self._loop = asyncio.get_running_loop()
        self._outcomes: deque[tuple[int, Step | Exception]] = deque()
        self._arrived = asyncio.Event()
        self._wanted = 0
        self._woken = 0.0

    def deliver(self, outcome: Step | Exception) -> None:
        """Called on the owner thread."""
        self._outcomes.append((self.epoch, outcome))
        if isinstance(outcome, Decoded):
            now = monotonic()
            if now - self._woken < WAKE_SECONDS:
                return
            self._woken = now
        self.call(self._arrived.set)

    def restart(self) -> int:
        """Drop what is queued; returns the new epoch, which the owner thread has to take over."""
        self._wanted += 1
        return self._wanted

    async def next(self) -> Step | Exception:
        """The next outcome of the newest epoch."""
        while True:
            while self._outcomes:
                epoch, outcome = self._outcomes.popleft()
                if epoch == self._wanted:
                    return outcome
            self._arrived.clear()
            if not self._outcomes:
                await self._arrived.wait()

    def call(self, function: Callable[[], object]) -> None:
        """Run `function` on the event loop. Called on the owner thread; nothing happens when the loop is closed."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)


def _rewind(
    job: Job, inbox: Inbox, epoch: int, keep: int, seen: int, grammar: str | None, scheduler: Scheduler
) -> None:
    inbox.epoch = epoch
    scheduler.rewind(job, keep, seen=seen, grammar=grammar)


def _release(job: Job, inbox: Inbox, released: asyncio.Event, scheduler: Scheduler) -> None:
    scheduler.release(job)
    inbox.call(released.set)

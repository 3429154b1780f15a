"""The queue in front of the model: so many at once, so many waiting, first come first served. Knows no HTTP."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from fclocal.server.failures import Failure, Rejected


class Line:
    """`parallel` requests are served at once and `queue` wait; more are refused with the time to come back after."""

    def __init__(self, *, parallel: int, queue: int) -> None:
        self.parallel = parallel
        self.queue = queue
        self.inside = 0
        self._turns = asyncio.Semaphore(parallel)
        self._seconds = 1.0

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return max(0, self.inside - self.parallel)

    @property
    def serving(self) -> int:
        """Requests that are being answered."""
        return min(self.inside, self.parallel)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn and hold it. Raises Rejected with 429 when too many wait."""
        if self.inside >= self.parallel + self.queue:
            raise Rejected(self._full())
        self.inside += 1
        try:
            async with self._turns:
                began = monotonic()
                try:
                    yield
                finally:
                    self._seconds += 0.2 * (monotonic() - began - self._seconds)
        finally:
            self.inside -= 1

    def _full(self) -> Failure:
        rounds = (self.inside - self.parallel) / self.parallel + 1
        after = str(max(1, min(60, math.ceil(rounds * self._seconds))))
        sentence = f"{self.inside} requests are served or wait; try again in {after} s."
        return Failure(429, sentence, code="rate_limit_exceeded", headers={"Retry-After": after})

"""HTTP/1.1 connections with deadlines and a cap, which uvicorn has no options for. Knows bytes and time, no routes."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from fclocal.server.settings import Limits


class DeadlineProtocol(H11Protocol):
    """Closes connections whose headers or body come too slowly, however the bytes are spread over that time.

    When the cap is reached, the connection that has been without a request for longest gives way to the new one.
    """

    limits: ClassVar[Limits] = Limits()
    since = 0.0
    _deadline: asyncio.TimerHandle | None = None
    _reading_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self.since = self.loop.time()
        if len(self.connections) > self.limits.connections:
            self._make_room()
        self._start(self.limits.header_deadline)

    def data_received(self, data: bytes) -> None:
        if self._deadline is None and not self.busy:
            self._start(self.limits.header_deadline)
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        self.since = self.loop.time()
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self.cycle is not None and not self.cycle.response_complete

    def _watch(self) -> None:
        """Set the deadline of what is awaited now: the rest of the body, the rest of the headers, or nothing."""
        body = self.busy and self.cycle.more_body
        if body and not self._reading_body:
            self._start(self.limits.body_deadline)
        elif not body and (self.busy or not self.conn.trailing_data[0]):
            self._stop()
        self._reading_body = body

    def _start(self, seconds: float) -> None:
        self._stop()
        self._deadline = self.loop.call_later(seconds, self._expire)

    def _stop(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self._deadline = None
        self.transport.abort()

    def _make_room(self) -> None:
        known = (other for other in self.connections if isinstance(other, DeadlineProtocol))
        idle = [other for other in known if not other.busy and not other.transport.is_closing()]
        min(idle, key=lambda other: other.since, default=self).transport.abort()


def protocol_with(limits: Limits) -> type[DeadlineProtocol]:
    """The protocol class for uvicorn's `http` option, with these limits."""
    return type("LimitedProtocol", (DeadlineProtocol,), {"limits": limits})

"""HTTP/1.1 connections with deadlines and a cap, which uvicorn has no options for. Knows bytes and time, no routes."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from fclocal.server.settings import Limits


class DeadlineProtocol(H11Protocol):
    """Closes connections whose headers or body come too slowly. When the cap is reached, the connection that has waited
    longest for its headers gives way to the new one."""

    limits: ClassVar[Limits] = Limits()
    _deadline: asyncio.TimerHandle | None = None
    _reading_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            self._make_room()
        if not transport.is_closing():
            self._start(self.limits.header_deadline)

    def data_received(self, data: bytes) -> None:
        if self._deadline is None and not self._busy:
            self._start(self.limits.header_deadline)
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    @property
    def in_headers(self) -> bool:
        """Whether no request is under way here."""
        return not self._busy

    @property
    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _watch(self) -> None:
        """The deadline of what is awaited now: the rest of the body, or of the next headers."""
        body = self._busy and self.cycle.more_body
        if body and not self._reading_body:
            self._start(self.limits.body_deadline)
        elif not body and (self._busy or not self._has_begun):
            self._stop()
        self._reading_body = body

    @property
    def _has_begun(self) -> bool:
        """Whether bytes of the next request are here already."""
        return self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])

    def _start(self, seconds: float) -> None:
        self._stop()
        self._deadline = self.loop.call_later(seconds, self._expire)

    def _stop(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.abort()

    def _make_room(self) -> None:
        others = (other for other in self.connections if isinstance(other, DeadlineProtocol) and other is not self)
        slow = [other for other in others if other.in_headers and not other.transport.is_closing()]
        oldest = min(slow, key=lambda other: other.since, default=self)
        oldest.transport.abort()

    since = 0.0


def protocol_with(limits: Limits) -> type[DeadlineProtocol]:
    """The protocol class for uvicorn's `http` option, with these limits."""
    return type("LimitedProtocol", (DeadlineProtocol,), {"limits": limits})

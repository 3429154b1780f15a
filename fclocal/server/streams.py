"""Work that ends with its client, and streams that fail cleanly. Knows ASGI, no wire format."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import TypeAlias, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fclocal.chat.receipt import plain
from fclocal.functions import JsonObject
from fclocal.server.failures import ClientGone, Failure, Rejected

T = TypeVar("T")
# The message by which the guard says that the server closes.
CLOSING = "fclocal.closing"
Chunks: TypeAlias = AsyncGenerator[bytes, None]


def sse(data: JsonObject, *, event: str = "") -> bytes:
    """One server-sent event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {dumps(data)}\n\n".encode()


def ndjson(data: JsonObject) -> bytes:
    """One line of JSON."""
    return f"{dumps(data)}\n".encode()


def dumps(data: JsonObject) -> str:
    """JSON on one line."""
    return json.dumps(plain(data), ensure_ascii=False, separators=(",", ":"))


async def while_connected(receive: Receive, work: Coroutine[object, object, T], *, seconds: float) -> T:
    """Run `work` to its end. Cancels it and raises ClientGone when the client goes away first, TimeoutError when it
    takes longer than `seconds`, Rejected when the server closes."""
    worker = asyncio.create_task(work)
    gone = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({worker, gone}, return_when=asyncio.FIRST_COMPLETED, timeout=seconds)
        if worker.done():
            return worker.result()
        if not gone.done():
            raise TimeoutError
        if gone.result() == CLOSING:
            raise Rejected(Failure(503, "The server is shutting down.", code="shutting_down"))
        raise ClientGone
    finally:
        gone.cancel()
        worker.cancel()
        await asyncio.gather(worker, gone, return_exceptions=True)


class Stream(Response):
    """Chunks as they come. What fails before the first chunk is raised, so that it becomes an ordinary refusal; what
    fails later ends the stream with `on_error`'s chunk."""

    def __init__(
        self,
        chunks: Chunks,
        *,
        seconds: float,
        on_error: Callable[[Exception], bytes],
        media_type: str = "text/event-stream",
    ) -> None:
        self._chunks = chunks
        self._seconds = seconds
        self._begun = False
        self._on_error = on_error
        super().__init__(media_type=media_type, headers={"Cache-Control": "no-store"})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await while_connected(receive, self._pump(send), seconds=self._seconds)
        except (TimeoutError, Rejected) as error:
            if not self._begun:
                raise
            await send({"type": "http.response.body", "body": self._on_error(error), "more_body": False})

    async def _pump(self, send: Send) -> None:
        async with aclosing(self._chunks) as chunks:
            chunk = await anext(chunks, b"")
            self._begun = True
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while chunk:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                chunk = await self._next()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self) -> bytes:
        try:
            return await anext(self._chunks, b"")
        except Exception as error:
            return self._on_error(error)


async def _gone(receive: Receive) -> str:
    """Wait for the end of the connection or of the server; which of them it was."""
    while (kind := (await receive())["type"]) not in ("http.disconnect", CLOSING):
        pass
    return str(kind)

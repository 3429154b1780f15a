"""HTTP to MCP servers: bounded bodies, no compression bombs, a word about what went wrong. Knows no MCP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import httpx2

from fclocal.tools.mcp.config import Limits
from fclocal.tools.mcp.connection import Ending

EVENTS = "text/event-stream"
SESSION = "mcp-session-id"


class BoundedClient(httpx2.AsyncClient):
    """An HTTP client for one server. Bodies other than event streams are at most `limits.line` bytes.

    Event streams may stay silent for as long as they like; who waits for an answer has a time limit of their own.
    """

    def __init__(self, headers: Mapping[str, str], *, limits: Limits, ending: Ending) -> None:
        super().__init__(
            headers={**headers, "Accept-Encoding": "identity"},
            timeout=httpx2.Timeout(limits.start, read=None),
        )
        self._limits = limits
        self._ending = ending

    async def send(self, request: httpx2.Request, **options: object) -> httpx2.Response:
        """Send and remember a refusal. Raises httpx2.HTTPError, also for a body that came compressed."""
        if request.method == "DELETE":
            request.extensions["timeout"] = httpx2.Timeout(self._limits.grace).as_dict()
        self._ending.nothing_ran = False
        try:
            response = await super().send(request, **options)  # type: ignore[arg-type]  # handed on as they came
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            self._ending.nothing_ran = True
            self._ending.because(f"it cannot be reached: {error}")
            raise
        if response.status_code >= 400:
            self._ending.hint = f"it answered HTTP {response.status_code} {response.reason_phrase}".strip()
        if response.status_code == 404 and SESSION in request.headers:
            self._ending.nothing_ran = True
        if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
            await response.aclose()
            raise httpx2.DecodingError("The body is compressed although that was not asked for", request=request)
        if not response.headers.get("content-type", "").lower().startswith(EVENTS) and not response.is_stream_consumed:
            stream = response.stream
            if isinstance(stream, httpx2.AsyncByteStream):
                response.stream = _Bounded(stream, self._limits.line, request)
        return response


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, limit: int, request: httpx2.Request) -> None:
        self._stream = stream
        self._limit = limit
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for chunk in self._stream:
            seen += len(chunk)
            if seen > self._limit:
                raise httpx2.ReadError(f"The body is longer than {self._limit:,} bytes", request=self._request)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()

"""One line for every request, as text or JSON on stderr, and its count. Knows statuses and times, no bodies."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fclocal.escapes import visible
from fclocal.server.metrics import Metrics

LOG = logging.getLogger("fclocal.server")
GONE = 499


class Journal:
    """Counts and logs what passes through it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        answered = status = GONE

        async def watch(message: Message) -> None:
            nonlocal answered, status
            await send(message)
            if message["type"] == "http.response.start":
                answered = message["status"]
            elif not message.get("more_body", False):
                status = answered

        try:
            await self._app(scope, receive, watch)
        finally:
            # The path as it was declared, because anybody can make up others.
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests[str(route), status] += 1
            ms = round((perf_counter() - began) * 1000, 1)
            fields = {"method": scope["method"], "path": scope["path"], "status": status, "ms": ms}
            LOG.info("request", extra={"fields": fields})


class TextFormatter(logging.Formatter):
    """`19:58:01 POST /v1/chat/completions 200 35.2 ms`, safe for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        fields = getattr(record, "fields", None)
        if fields:
            return visible(f"{stamp} {fields['method']} {fields['path']} {fields['status']} {fields['ms']} ms")
        text = f"{stamp} {record.getMessage()}"
        return f"{visible(text)}\n{self.formatException(record.exc_info)}" if record.exc_info else visible(text)


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        entry |= getattr(record, "fields", {})
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def log_to_stderr(form: str) -> None:
    """Send the log of the server and of uvicorn to stderr, as `text` or `json`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    levels = {"fclocal.server": logging.INFO, "uvicorn.error": logging.WARNING, "asyncio": logging.ERROR}
    for name, level in levels.items():
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False

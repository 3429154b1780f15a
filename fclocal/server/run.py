"""Bind, serve, shut down. Knows sockets and uvicorn, no routes."""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import replace

import uvicorn

from fclocal.config import Config
from fclocal.errors import PortInUse, UsageError
from fclocal.runtime import open_model
from fclocal.server.app import build_app
from fclocal.server.endpoint import Endpoint
from fclocal.server.guard import is_loopback
from fclocal.server.journal import log_to_stderr
from fclocal.server.line import Line
from fclocal.server.metrics import Metrics
from fclocal.server.models import Models
from fclocal.server.protocol import protocol_with
from fclocal.server.settings import Settings


def build_endpoint(settings: Settings, config: Config) -> Endpoint:
    """The state of a server; nothing is loaded yet."""
    models = Models(settings.options, config, opener=open_model, named=settings.named, keep_alive=settings.keep_alive)
    line = Line(parallel=settings.limits.parallel, queue=settings.limits.queue)
    return Endpoint(settings, models, line, Metrics())


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises PortInUse and UsageError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small writes at once (TCP_NODELAY) only where a socket names its protocol.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"Port {port} of {host} is taken.", "Use another: --port N") from None
        raise UsageError(f"Cannot listen on {host}:{port}: {error.strerror}.", "Check --host and --port.") from None
    listener.setblocking(False)
    return listener


def refuse_open_door(settings: Settings) -> None:
    """Raise UsageError when others could reach the endpoint without a key."""
    if not settings.key and not is_loopback(settings.host):
        raise UsageError(
            f"Listening on {settings.host} would let others on the network in without a key.",
            "Set FCLOCAL_API_KEY or --api-key-file, or use --host 127.0.0.1.",
        )


class _Uvicorn(uvicorn.Server):
    """Lets replies end by themselves for a while, then has them end with a word to their clients."""

    endpoint: Endpoint

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        patience = self.endpoint.settings.limits.shutdown
        timer = asyncio.get_running_loop().call_later(patience, self.endpoint.closing.set)
        try:
            await super().shutdown(sockets)
        finally:
            timer.cancel()


class Server:
    """A bound server: serve, then stop. With port 0 a free one was taken; `settings` says which."""

    def __init__(self, settings: Settings, config: Config) -> None:
        """Bind. Raises PortInUse and UsageError."""
        refuse_open_door(settings)
        self._listener = bind(settings.host, settings.port)
        self.settings = replace(settings, port=self._listener.getsockname()[1])
        self.endpoint = build_endpoint(self.settings, config)
        limits = settings.limits
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                build_app(self.endpoint),
                http=protocol_with(limits),
                ws="none",
                lifespan="on",
                loop="asyncio",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=int(limits.keep_alive),
                timeout_graceful_shutdown=int(limits.shutdown) + 5,
            )
        )
        self._uvicorn.endpoint = self.endpoint

    async def serve(self) -> None:
        """Serve until interrupted or stopped. Replies under way have `limits.shutdown` seconds to end."""
        log_to_stderr(self.settings.log_format)
        try:
            await self._uvicorn.serve(sockets=[self._listener])
        finally:
            self._listener.close()

    def stop(self) -> None:
        """Have `serve` end. Any thread."""
        self._uvicorn.should_exit = True

"""Bind, serve, shut down. Knows sockets and uvicorn, no routes."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

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
    listener = socket.socket(family, socket.SOCK_STREAM)
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


async def serve(settings: Settings, config: Config, *, on_ready: Callable[[Endpoint], None]) -> None:
    """Serve until interrupted; a second interrupt does not wait for replies. Raises PortInUse, UsageError."""
    refuse_open_door(settings)
    log_to_stderr(settings.log_format)
    listener = bind(settings.host, settings.port)
    endpoint = build_endpoint(settings, config)
    limits = settings.limits
    server = uvicorn.Server(
        uvicorn.Config(
            build_app(endpoint),
            http=protocol_with(limits),
            ws="none",
            lifespan="on",
            loop="asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=int(limits.shutdown),
        )
    )
    on_ready(endpoint)
    try:
        await server.serve(sockets=[listener])
    finally:
        listener.close()

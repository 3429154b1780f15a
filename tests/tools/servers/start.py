"""How the tests of MCP reach their servers."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from fclocal.functions import Json
from fclocal.messages import FunctionCall, FunctionResult
from fclocal.tools.mcp import McpServers
from fclocal.tools.mcp.config import Command, Endpoint, Launch, Limits, McpConfig, ServerConfig
from fclocal.tools.mcp.trust import Approvals

HERE = Path(__file__).parent
QUICK = Limits(start=20.0, call=20.0, grace=0.2)


def friendly(*words: str, **env: str) -> Command:
    """Our server on the SDK, over stdio."""
    return Command(sys.executable, (str(HERE / "friendly.py"), *words), env, HERE)


def hostile(mode: str, *words: str, cwd: Path = HERE, **env: str) -> Command:
    """Our server that misbehaves."""
    return Command(sys.executable, (str(HERE / "hostile.py"), mode, *words), env, cwd)


def config_of(**launches: Launch) -> McpConfig:
    """A configuration with these servers."""
    return McpConfig({name: ServerConfig(name, launch, name) for name, launch in launches.items()}, {})


def servers_of(
    folder: Path,
    *,
    limits: Limits = QUICK,
    approvals: Approvals | None = None,
    approve: bool = True,
    **launches: Launch,
) -> McpServers:
    """All these servers, approved for the test, with their logs in `folder`."""
    config = config_of(**launches)
    servers = McpServers(config, tuple(launches), approvals=approvals, log_folder=folder / "logs", limits=limits)
    if approve:
        for name in launches:
            servers.approve(name)
    return servers


async def call(servers: McpServers, name: str, /, **arguments: Json) -> FunctionResult:
    """Call a tool."""
    return await servers.call(FunctionCall("1", name, arguments))


async def eventually(happened: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Wait until something that others do has happened."""
    async with asyncio.timeout(seconds):
        while not happened():  # noqa: ASYNC110  # others set no event
            await asyncio.sleep(0.005)


@contextmanager
def http(app: Any, *, port: int = 0) -> Iterator[int]:
    """Serve an ASGI app on loopback; gives the port."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def endpoint(port: int, **headers: str) -> Endpoint:
    """A server on loopback."""
    return Endpoint(f"http://127.0.0.1:{port}/mcp", headers)

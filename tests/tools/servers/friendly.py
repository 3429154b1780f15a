"""An MCP server on the official SDK. As a program it talks on stdio; with `modern`, only the newer protocol."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from typing import Any

from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import (
    METHOD_NOT_FOUND,
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel

DATA = base64.b64encode(b"\x89PNG" + bytes(996)).decode()


class Point(BaseModel):
    x: int
    y: int


def add(a: int, b: int) -> int:
    """Add two whole numbers."""
    return a + b


def greet(name: str) -> str:
    """Greet somebody."""
    return f"Hello, {name}!"


def move(x: int, y: int) -> Point:
    """Move a point to the right."""
    return Point(x=x + 1, y=y)


def refuse() -> str:
    """Always fail."""
    raise ValueError("no such thing")


def everything() -> CallToolResult:
    """Every kind of content."""
    text = TextResourceContents(uri="file:///notes.txt", mime_type="text/plain", text="a note")
    blob = BlobResourceContents(uri="file:///a.bin", mime_type="application/octet-stream", blob=DATA)
    return CallToolResult(
        content=[
            TextContent(text="one"),
            TextContent(text="two"),
            ImageContent(data=DATA, mime_type="image/png"),
            AudioContent(data=DATA, mime_type="audio/wav"),
            ResourceLink(uri="file:///big.csv", name="big", mime_type="text/csv", size=12345),
            EmbeddedResource(resource=text),
            EmbeddedResource(resource=blob),
        ]
    )


def environment() -> dict[str, str]:
    """Every environment variable."""
    return dict(os.environ)


def folder() -> str:
    """The current folder."""
    return os.getcwd()  # noqa: PTH109


async def sleep(seconds: float) -> str:
    """Sleep."""
    await asyncio.sleep(seconds)
    return "slept"


def leave(code: int) -> str:
    """End the server at once."""
    print("leaving now", file=sys.stderr, flush=True)
    os._exit(code)


def build(*, modern: bool = False) -> MCPServer[Any]:
    """A new server. With `modern` it refuses the handshake of the protocols before 2026-07-28."""
    server: MCPServer[Any] = MCPServer(
        "friendly", log_level="CRITICAL", middleware=[_refuse_handshake] if modern else []
    )
    for function in (add, move, refuse, environment):
        server.add_tool(function)
    for function in (greet, everything, folder, sleep, leave):
        server.add_tool(function, structured_output=False)

    async def grow(ctx: Context[Any, Any]) -> str:
        """Offer one more tool, and say so."""
        server.add_tool(lambda: "new", name="grown", description="A tool that was not there before.")
        if modern:
            await ctx.notify_tools_changed()
        else:
            await ctx.session.send_tool_list_changed()
        return "grown"

    server.add_tool(grow, structured_output=False)
    return server


async def _refuse_handshake(ctx: ServerRequestContext[Any, Any], call_next: Any) -> Any:
    if ctx.method == "initialize":
        raise MCPError(METHOD_NOT_FOUND, "Method not found")
    return await call_next(ctx)


if __name__ == "__main__":
    build(modern="modern" in sys.argv).run()

"""An MCP server on the official SDK. `friendly.py` talks on stdio, `friendly.py http PORT` streamable HTTP."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp_types import AudioContent, CallToolResult, EmbeddedResource, ImageContent, ResourceLink, TextContent
from mcp_types import BlobResourceContents, TextResourceContents
from pydantic import BaseModel

server = MCPServer("friendly", log_level="ERROR")


class Point(BaseModel):
    x: int
    y: int


@server.tool()
def add(a: int, b: int) -> int:
    """Add two whole numbers."""
    return a + b


@server.tool(structured_output=False)
def greet(name: str) -> str:
    """Greet somebody."""
    return f"Hello, {name}!"


@server.tool()
def move(x: int, y: int) -> Point:
    """Move a point to the right."""
    return Point(x=x + 1, y=y)


@server.tool()
def refuse() -> str:
    """Always fail."""
    raise ValueError("no such thing")


@server.tool(structured_output=False)
def everything() -> CallToolResult:
    """Every kind of content."""
    data = base64.b64encode(b"\x89PNG" + bytes(996)).decode()
    text = TextResourceContents(uri="file:///notes.txt", mime_type="text/plain", text="a note")
    blob = BlobResourceContents(uri="file:///a.bin", mime_type="application/octet-stream", blob=data)
    return CallToolResult(
        content=[
            TextContent(text="one"),
            TextContent(text="two"),
            ImageContent(data=data, mime_type="image/png"),
            AudioContent(data=data, mime_type="audio/wav"),
            ResourceLink(uri="file:///big.csv", name="big", mime_type="text/csv", size=12345),
            EmbeddedResource(resource=text),
            EmbeddedResource(resource=blob),
        ]
    )


@server.tool()
def environment() -> dict[str, str]:
    """Every environment variable."""
    return dict(os.environ)


@server.tool(structured_output=False)
def folder() -> str:
    """The current folder."""
    return os.getcwd()  # noqa: PTH109


@server.tool()
async def sleep(seconds: float) -> str:
    """Sleep."""
    await asyncio.sleep(seconds)
    return "slept"


@server.tool(structured_output=False)
def leave(code: int) -> str:
    """End the server at once."""
    print("leaving now", file=sys.stderr, flush=True)
    os._exit(code)


@server.tool(structured_output=False)
async def grow(ctx: Context[Any, Any]) -> str:
    """Offer one more tool, and say so."""
    server.add_tool(lambda: "new", name="grown", description="A tool that was not there before.")
    await ctx.session.send_tool_list_changed()
    return "grown"


if __name__ == "__main__":
    if sys.argv[1:2] == ["http"]:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
    else:
        server.run()

"""The app in a browser, as `textual serve` gives it: the real command, spoken to as the page's script does."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

pytestmark = pytest.mark.timeout(180)
SERVE = "from textual_serve.server import Server; import sys; Server(sys.argv[1], port=int(sys.argv[2])).serve()"


class Page:
    """One visitor: what was painted so far, and typing."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.painted = b""

    async def type(self, text: str) -> None:
        await self._socket.send_json(["stdin", text])

    async def shows(self, words: str) -> None:
        """Wait until `words` were painted; forget what was painted up to there."""
        while words.encode() not in self.painted:
            message = await self._socket.receive(90)
            assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), (words, self.painted[-2000:])
            if message.type is aiohttp.WSMsgType.BINARY:
                self.painted += message.data
        self.painted = self.painted.partition(words.encode())[2]

    async def ended(self) -> None:
        """Wait until the program has gone."""
        while (await self._socket.receive(60)).type is not aiohttp.WSMsgType.CLOSE:
            pass


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folders = {f"FCLOCAL_{name}": str(tmp_path / name.lower()) for name in ("CONFIG", "DATA", "CACHE")}
    said = tmp_path / "said.json"
    call = json.dumps({"function": "send", "arguments": {"to": "Ann"}})
    said.write_text(json.dumps({"texts": [call, "It is sent."], "result": "noted"}))
    command = f"{sys.executable} -m tests.tui.scripted_app {said}"
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVE, command, str(port)),
        env={**os.environ, **folders, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with visit(f"http://127.0.0.1:{port}/ws?width=100&height=40") as found:
            yield found
    finally:
        server.terminate()
        await server.wait()


@asynccontextmanager
async def visit(address: str) -> AsyncIterator[Page]:
    """Connect, once the server listens."""
    async with aiohttp.ClientSession() as session:
        for _ in range(600):
            try:
                async with session.ws_connect(address) as connected:
                    yield Page(connected)
                return
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.1)
    raise AssertionError("The server never listened.")


async def test_a_call_is_asked_for_approved_and_answered_in_a_browser(page: Page) -> None:
    await page.shows("CPU")
    await page.type("Write to Ann")
    await page.type("\r")
    await page.shows("Allow once")
    await asyncio.sleep(0.7)  # the half second in which keys do not count
    await page.type("y")
    await page.shows("It is sent.")
    await page.type("\x11")
    await page.ended()

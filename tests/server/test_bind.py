from __future__ import annotations

import asyncio
import socket

from fclocal.server.run import bind


async def test_small_chunks_leave_at_once() -> None:
    """With Nagle's algorithm a stream's first token waits for the client's delayed acknowledgement, about 40 ms."""
    accepted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def on_connect(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set_result(bool(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
        writer.close()

    listener = bind("127.0.0.1", 0)
    server = await asyncio.start_server(on_connect, sock=listener)
    async with server:
        _, writer = await asyncio.open_connection(*listener.getsockname())
        assert await accepted
        writer.close()
        await writer.wait_closed()

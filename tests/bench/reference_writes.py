"""The bare write loop: who sends a number gets so many bytes, and so does everybody else. No rooms, no log.

``python -m tests.bench.reference_writes``; the port is OPS_PORT's.
"""

import asyncio
import os
from typing import cast

import uvloop

BODY = b'{"pid": %d}' % os.getpid()
READY = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Member(asyncio.Protocol):
    """One connection. All are in one list."""

    def __init__(self, everybody: list[asyncio.Transport]) -> None:
        self._everybody = everybody
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be one of them. uvloop's transports are no subclass of asyncio's."""
        self._transport = cast(asyncio.Transport, transport)
        self._everybody.append(self._transport)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Be none of them any more."""
        self._everybody.remove(self._transport)

    def data_received(self, data: bytes) -> None:
        """Write so many bytes to everybody; readiness is asked for by HTTP."""
        if data.startswith(b"GET"):
            self._transport.write(READY)
            return
        frames = bytes(int.from_bytes(data[:4], "big"))
        for transport in self._everybody:
            transport.write(frames)


async def serve() -> None:
    """Serve until the process is ended."""
    everybody: list[asyncio.Transport] = []
    loop = asyncio.get_running_loop()
    await loop.create_server(
        lambda: Member(everybody), "127.0.0.1", int(os.environ["OPS_PORT"]), backlog=4096
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())

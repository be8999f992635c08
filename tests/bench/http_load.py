"""Requests over connections that stay open: each sends its next one when the last is answered."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import cycle, islice

from deploy.local.ports import HOST

READY_DEADLINE_S = 30.0


def get(path: str, bearer: str) -> bytes:
    """Return a request, ready to be written."""
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {bearer}\r\n\r\n".encode()


async def until_answered(port: int, request: bytes) -> None:
    """Ask until the answer is a 200: a service may say that it is ready a moment before."""
    async with asyncio.timeout(READY_DEADLINE_S):
        while True:
            try:
                return await load(port, [request], 1, 1)
            except ConnectionError:
                await asyncio.sleep(0.1)


async def load(port: int, requests: Sequence[bytes], total: int, connections: int) -> None:
    """Send ``total`` requests in turn over so many connections. Raises where an answer is not a 200."""
    loop = asyncio.get_running_loop()
    waiting = islice(cycle(requests), total)
    opened = [
        (await loop.create_connection(lambda: _KeepAlive(waiting), HOST, port))[1] for _ in range(connections)
    ]
    try:
        for one in opened:
            one.next()
        await asyncio.gather(*(one.done for one in opened))
    finally:
        for one in opened:
            one.close()


class _KeepAlive(asyncio.Protocol):
    """One connection. It reads a status and a length, and skips the rest."""

    def __init__(self, waiting: Iterator[bytes]) -> None:
        self._waiting = waiting
        self._missing = 0
        self._head = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def next(self) -> None:
        """Send the next request, or be done."""
        request = next(self._waiting, None)
        if request is not None:
            self._transport.write(request)
        elif not self.done.done():
            self.done.set_result(None)

    def close(self) -> None:
        """End the connection."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            self._missing = _length(self._head[:end]) - (len(self._head) - end - 4)
            self._head = b""
        if self._missing == 0:
            self.next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(f"the server closed the connection ({exc})"))


def _length(head: bytes) -> int:
    if not head.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(f"not answered: {head[:300]!r}")
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])

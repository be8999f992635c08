"""Clients that keep no rules: raw websockets and sockets that flood, stall and lie."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tests.integration.backing import token
from tests.integration.edge_server.edges import Edge
from tests.waiting import eventually

OPEN = "/socket.io/?EIO=4&transport=websocket"
POLL = "/socket.io/?EIO=4&transport=polling"


class Raw:
    """A websocket that sends what it is told to, and remembers the frames that it gets."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self.websocket = websocket
        self.frames: list[str] = []
        self.closed_with: int | None = None
        self._reading = asyncio.create_task(self._read())

    async def send(self, *frames: str) -> None:
        """Send text frames."""
        for frame in frames:
            await self.websocket.send_str(frame)

    async def joins(self, group: str) -> None:
        """Wait until it is in a room."""
        await eventually(f"in {group}", lambda: any(group in frame for frame in self.frames))

    async def has_acks(self, count: int) -> None:
        """Wait until so many events are answered."""
        await eventually(f"{count} acks", lambda: len(self.acks()) == count)

    def acks(self) -> list[Any]:
        """Return the payloads of all acks so far."""
        return [json.loads(f"[{one.partition('[')[2]}")[0] for one in self.frames if one.startswith("43")]

    @property
    def is_closed(self) -> bool:
        """Whether the edge has closed it."""
        return self._reading.done()

    async def _read(self) -> None:
        async for message in self.websocket:
            if message.type is aiohttp.WSMsgType.TEXT:
                if message.data == "2":
                    await self.websocket.send_str("3")
                self.frames.append(message.data)
        self.closed_with = self.websocket.close_code

    async def close(self) -> None:
        """Go."""
        await self.websocket.close()
        await asyncio.wait([self._reading])


@asynccontextmanager
async def raw(edge: Edge, up: str | None = None, **options: Any) -> AsyncIterator[Raw]:
    """Open a websocket; with ``up`` its handshake is finished."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(edge.url + OPEN, **options) as websocket,
    ):
        client = Raw(websocket)
        if up is not None:
            await client.send("40" + json.dumps({"token": token(up)}))
        try:
            yield client
        finally:
            await client.close()


@asynccontextmanager
async def tcp(edge: Edge) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a bare connection."""
    where = urlsplit(edge.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        yield reader, writer
    finally:
        writer.close()

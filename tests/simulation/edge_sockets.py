"""The two kinds of connections that an edge has, as python-socketio would serve them.

Who began by websocket is read and written by production code. Who began by polling is modelled: its packets
wait in a queue until its websocket is up.
"""

import asyncio
import re
from asyncio import Queue
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import orjson
from engineio import packet

from edge_server.clients import Client
from edge_server.direct_websocket import DirectWebSocket
from edge_server.reading import Reading
from edge_server.settings import EdgeSettings
from edge_server.unfinished import Unfinished
from edge_server.write_through import WriteThrough
from tests.simulation.network import Transport, client_frame
from tests.simulation.process import Process

_EVENT: Final = re.compile(r"2(\d+)(\[.*)", re.DOTALL)


class SocketServer:
    """What an edge asks of python-socketio: handlers by name, and the engine.io socket of a session."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.handlers: dict[str, Callable[..., Any]] = {}
        self.sockets: dict[str, DirectSocket | UpgradingSocket] = {}
        self.take: Callable[[Client, str], bool]
        self.eio = self
        self.manager = self

    def on(self, name: str, handler: Callable[..., Awaitable[Any]]) -> None:
        self.handlers[name] = handler

    def eio_sid_from_sid(self, sid: str, _namespace: str) -> str:
        return sid

    async def disconnect(self, sid: str) -> None:
        if self.sockets.pop(sid, None) is not None:
            await self.handlers["disconnect"](sid, "server disconnect")

    def lost(self, sid: str) -> None:
        """Hear that a connection is gone."""
        if self.process.alive and self.sockets.pop(sid, None) is not None:
            self.process.spawn(self.handlers["disconnect"](sid, "transport close"))

    def handle(self, sid: str, text: str) -> None:
        """Let the handler of an event answer it, in its own time."""
        found = _EVENT.fullmatch(text)
        if found is not None and sid in self.sockets:
            self.process.spawn(self._answer(sid, found[1], *orjson.loads(found[2])))

    async def _answer(self, sid: str, number: str, name: str, payload: Any) -> None:
        queue: Any = self.sockets[sid].queue
        answer = await self.handlers[name](sid, payload)
        queue.put_nowait(packet.Packet(packet.MESSAGE, f"3{number}{orjson.dumps([answer]).decode()}"))


class DirectSocket:
    """An engine.io socket that began by websocket: all but the socket itself is the edge's own code."""

    closed = False
    upgraded = True

    def __init__(self, sid: str, transport: Transport, server: SocketServer, settings: EdgeSettings) -> None:
        bytes_of: Any = transport
        self._sid = sid
        self._server = server
        websocket = DirectWebSocket(bytes_of, self, server.take, self._ended, settings, Unfinished(settings))
        self.framed_websocket = websocket
        self.queue = WriteThrough(bytes_of, websocket.close, settings.max_buffered_bytes)

    def take(self, texts: Sequence[str]) -> None:
        """Read what has arrived, in one piece."""
        self.framed_websocket.data_received(b"".join(client_frame(text) for text in texts))

    def lost(self) -> None:
        """The connection is gone."""
        self.framed_websocket.connection_lost(None)

    async def receive(self, taken: packet.Packet) -> None:
        """Take a packet that goes the ordinary way."""
        self._server.handle(self._sid, taken.data)

    def _ended(self) -> None:
        self._server.lost(self._sid)


class UpgradingSocket:
    """An engine.io socket that began by polling. Its first event comes when its websocket is up."""

    def __init__(self, sid: str, transport: Transport, server: SocketServer) -> None:
        self.queue: Queue[Any] = Queue()
        self.upgraded = False
        self.framed_websocket = self
        self.transport = transport
        bytes_of: Any = transport
        self.reading = Reading(bytes_of)
        self._client: Client | None = None
        self._sid = sid
        self._server = server
        server.process.spawn(self._write_packets())

    def take_short_way(self, client: Client) -> None:
        self._client = client

    def take(self, texts: Sequence[str]) -> None:
        """Take what has arrived."""
        self.upgraded = True
        for text in texts:
            if self._client is None or not self._server.take(self._client, text):
                self._server.handle(self._sid, text[1:])

    def lost(self) -> None:
        """The connection is gone."""
        self._server.lost(self._sid)

    async def _write_packets(self) -> None:
        """Write what is queued, in order, and end the connection after it."""
        while (waiting := await self.queue.get()) is not None:
            self.transport.write(b"%b\n" % str(waiting.encode()).encode())
            await asyncio.sleep(0)
        self.transport.close()

"""The two kinds of connections that an edge has, as python-socketio would serve them.

Websockets are read and written by production code, and clients come over to them by it. Polls are modelled.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import orjson
from engineio import packet

from edge_server.clients import Client
from edge_server.coming_over import ComingOver
from edge_server.direct_websocket import DirectWebSocket
from edge_server.packet_queue import PacketQueue
from edge_server.settings import EdgeSettings
from edge_server.unfinished import Unfinished
from edge_server.write_through import WriteThrough
from loadtest.websocket import client_frame
from tests.simulation.network import Transport
from tests.simulation.process import Process

_EVENT: Final = re.compile(r"2(\d+)(\[.*)", re.DOTALL)


class SocketServer:
    """What an edge asks of python-socketio: handlers by name, and the engine.io socket of a session."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.handlers: dict[str, Callable[..., Any]] = {}
        self.sockets: dict[str, EngineSocket] = {}
        self.try_short_path: Callable[[Client, str], bool]
        self.on_switched_over: Callable[[str], None]
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


class EngineSocket:
    """An engine.io socket, and the edge's own websocket. One that ``polls`` comes over to it to speak."""

    closed = upgraded = False

    def __init__(
        self, sid: str, transport: Transport, server: SocketServer, settings: EdgeSettings, *, polls: bool
    ) -> None:
        bytes_of: Any = transport
        self.websocket = DirectWebSocket(bytes_of, server.try_short_path, settings, Unfinished(settings))
        self.queue: Any
        self._sid = sid
        self._transport = transport
        self._server = server
        self._settings = settings
        if polls:
            self.queue = PacketQueue()
            server.process.spawn(self._poll())
        else:
            self.upgraded = True
            self.queue = WriteThrough(bytes_of, self.websocket.close, settings.max_buffered_bytes)
            self.websocket.set_handler(self, self._ended)

    def take(self, texts: Sequence[str]) -> None:
        """Read what has arrived, in one piece."""
        if not self.upgraded:
            coming = ComingOver(self, self.websocket, self._settings, self._switched_over, self._ended)
            self.websocket.set_handler(coming, coming.ended)
            texts = ["2probe", "5", *texts]
        self.websocket.data_received(b"".join(client_frame(text.encode()) for text in texts))

    def lost(self) -> None:
        """The connection is gone."""
        if self.upgraded:
            self.websocket.connection_lost(None)
        else:
            self._server.lost(self._sid)

    async def receive(self, taken: packet.Packet) -> None:
        """Take a packet that goes the ordinary way."""
        self._server.handle(self._sid, taken.data)

    def _switched_over(self, _socket: object) -> None:
        self._server.on_switched_over(self._sid)

    def _ended(self, _socket: object = None) -> None:
        self._server.lost(self._sid)

    async def _poll(self) -> None:
        """Bring the client what waits, in order, until it has come over, or has been told the end."""
        queue = self.queue
        while (waiting := await queue.get()) is not None:
            self._transport.write(b"%b\n" % str(waiting.encode()).encode())
            # The next poll is under way: what comes meanwhile waits for it, or for the websocket.
            await asyncio.sleep(self._server.process.chance.delay())
        if not self.upgraded:
            self._transport.close()

"""The websocket of one engine.io socket: its transport, its inbox, and, where nothing was polled, its life.

A client that begins by polling stays engine.io's. One that begins by websocket is served here: one task
reads, and packets are written at once; engine.io has a writer with a queue and a task for each wait.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from aiohttp import WSMessage, WSMsgType
from aiohttp.http_websocket import WebSocketReader
from aiohttp.web import Response, StreamResponse, WebSocketResponse
from engineio import exceptions, packet
from engineio.async_drivers import aiohttp as aiohttp_driver

from edge_server.clients import Client
from edge_server.frames import text_frame
from edge_server.settings import EdgeSettings
from edge_server.short_way import Inbox
from runtime import metrics
from runtime.budgets import Budget

READ_AHEAD_BYTES: Final = 65_536
"""What a websocket may hold that has been read and not taken, before it reads no more."""

_DATA: Final = (WSMsgType.TEXT, WSMsgType.BINARY)
_NO_PACKET: Final = (ValueError, IndexError, TypeError)
"""What engine.io's packets raise for bytes that are none."""


class ChatWebSocket(WebSocketResponse):
    """A websocket that does not compress, and whose reader puts what comes into our inbox."""

    def __init__(self, settings: EdgeSettings) -> None:
        super().__init__(max_msg_size=settings.max_frame_bytes, compress=False, autoping=True)
        self.inbox: Inbox
        self._settings = settings

    def _post_start(self, request: Any, protocol: str | None, writer: Any) -> None:
        self._ws_protocol = protocol
        self._writer = writer
        burst = self._settings.events_burst_per_client
        budget = Budget(self._settings.events_per_s_per_client, burst)
        self._reader = self.inbox = Inbox(request.protocol, READ_AHEAD_BYTES, budget, -burst)
        self._parser = WebSocketReader(self.inbox, self._max_msg_size, compress=False, decode_text=True)
        request.protocol.set_parser(self._parser)
        request.protocol.keep_alive(False)


class WriteThrough:
    """Takes the place of engine.io's queue: packets are written at once. None or a close packet ends it."""

    def __init__(self, transport: asyncio.Transport, end: Callable[[], None], max_bytes: int) -> None:
        self._transport = transport
        self._end = end
        self._max_bytes = max_bytes

    def put_nowait(self, item: packet.Packet | None) -> None:
        """Write a packet. Who does not read what it asked for is cut off."""
        if item is not None and not self._transport.is_closing():
            self._transport.write(text_frame(item.encode().encode()))
            if self._transport.get_write_buffer_size() > self._max_bytes:
                metrics.SLOW_CLIENTS.inc()
                self._transport.abort()
        if item is None or item.packet_type == packet.CLOSE:
            self._end()

    async def put(self, item: packet.Packet | None) -> None:
        """Do the same, for engine.io."""
        self.put_nowait(item)

    async def join(self) -> None:
        """Return at once: nothing ever waits here."""

    def qsize(self) -> int:
        """Return how much waits here."""
        return 0


class FramedWebSocket(aiohttp_driver.WebSocket):  # type: ignore[misc]
    """What engine.io makes of a request for a websocket."""

    transport: Any = None

    def __init__(
        self, handler: Any, server: Any, take: Callable[[Client, str], bool], settings: EdgeSettings
    ) -> None:
        super().__init__(handler, server)
        self._take = take
        self._settings = settings

    async def __call__(self, environ: dict[str, Any]) -> StreamResponse:
        """Accept the websocket, make it known to its engine.io socket, and run that to its end."""
        socket = self.handler.__self__
        if socket.connected and socket.upgrading:
            return Response(status=HTTPStatus.CONFLICT)
        upgrades = socket.upgrading = socket.connected
        try:
            if not await self._accept(environ, socket):
                return Response()
            await (self._upgrade(socket) if upgrades else self._serve(socket))
        finally:
            # Engine.io leaves it so where an upgrade breaks off, and polling would get nothing any more.
            socket.upgrading = False
        return self._sock

    async def _accept(self, environ: dict[str, Any], socket: Any) -> bool:
        request = environ["aiohttp.request"]
        self._sock = ChatWebSocket(self._settings)
        try:
            await self._sock.prepare(request)
        except ConnectionResetError:
            # They have gone while they waited: in an overload their places among the arrivals are needed.
            if not socket.connected:
                await socket.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_CLOSE)
            return False
        self.environ = environ
        self.transport = request.transport
        socket.framed_websocket = self
        return True

    async def _upgrade(self, socket: Any) -> None:
        """Let engine.io take a polling client over to this websocket, in good time, and serve it."""
        within_s = self._settings.handshake_within_s
        late = asyncio.get_running_loop().call_later(within_s, self._end_late_upgrade, socket)
        try:
            await self.handler(self)
        except _NO_PACKET:
            await self._sock.close()
        finally:
            late.cancel()
            if socket.upgraded:
                socket.queue.put_nowait(None)
                await socket.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_CLOSE)

    def _end_late_upgrade(self, socket: Any) -> None:
        if not socket.upgraded:
            metrics.LIMIT_HITS.labels(limit="slow handshakes").inc()
            self.transport.abort()

    def take_short_way(self, client: Client) -> None:
        """The client is direct: from now on its chat messages go the short way."""
        self._sock.inbox.take = partial(self._take, client)

    async def _serve(self, socket: Any) -> None:
        """Serve a client that began by websocket, until either side ends it or it answers no pings."""
        socket.connected = socket.upgraded = True
        queued = socket.queue
        socket.queue = WriteThrough(self.transport, self._end, self._settings.max_buffered_bytes)
        while not queued.empty():
            socket.queue.put_nowait(queued.get_nowait())
        silent_s = self.server.ping_interval + self.server.ping_timeout
        try:
            with suppress(TimeoutError):
                while (message := await self._sock.receive(silent_s)).type in _DATA:
                    await self._receive(socket, message.data)
            await self._sock.close()
        finally:
            await socket.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_CLOSE)

    async def _receive(self, socket: Any, data: str | bytes) -> None:
        """Hand a packet to engine.io. What is no packet, or comes after the end, ends the connection."""
        try:
            await socket.receive(packet.Packet(encoded_packet=data))
        except exceptions.UnknownPacketError:
            return
        except (exceptions.SocketIsClosedError, *_NO_PACKET):
            self._end()

    def _end(self) -> None:
        self._sock.inbox.feed_data(WSMessage(WSMsgType.CLOSING, None, None), 0)

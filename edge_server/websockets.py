"""The websocket of one engine.io socket: its transport, its inbox, and, where nothing was polled, its life.

A client that begins by polling stays engine.io's. One that begins by websocket is served here: one task
reads, and packets are written at once; engine.io has a writer with a queue and a task for each wait.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from aiohttp import WSMessage, WSMsgType
from aiohttp.http_websocket import WebSocketReader
from aiohttp.web import Response, StreamResponse, WebSocketResponse
from engineio import exceptions, packet
from engineio.async_drivers import aiohttp as aiohttp_driver

from edge_server.clients import Client
from edge_server.frames import text_frame
from edge_server.short_way import Inbox
from runtime import metrics

READ_AHEAD_BYTES: Final = 65_536
"""What a websocket may hold that has been read and not taken, before it reads no more."""

_DATA: Final = (WSMsgType.TEXT, WSMsgType.BINARY)


class ChatWebSocket(WebSocketResponse):
    """A websocket that does not compress, and whose reader puts what comes into our inbox."""

    def __init__(self, max_msg_size: int) -> None:
        super().__init__(max_msg_size=max_msg_size, compress=False, autoping=True)
        self.inbox: Inbox

    def _post_start(self, request: Any, protocol: str | None, writer: Any) -> None:
        self._ws_protocol = protocol
        self._writer = writer
        self._reader = self.inbox = Inbox(request.protocol, READ_AHEAD_BYTES, loop=asyncio.get_running_loop())
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
        self, handler: Any, server: Any, take: Callable[[Client, str], bool], max_buffered_bytes: int
    ) -> None:
        super().__init__(handler, server)
        self._take = take
        self._max_buffered_bytes = max_buffered_bytes

    async def __call__(self, environ: dict[str, Any]) -> StreamResponse:
        """Accept the websocket, make it known to its engine.io socket, and run that to its end."""
        request = environ["aiohttp.request"]
        socket = self.handler.__self__
        self._sock = ChatWebSocket(self.server.max_http_buffer_size)
        try:
            await self._sock.prepare(request)
        except ConnectionResetError:
            # They have gone while they waited: in an overload their places among the arrivals are needed.
            if not socket.connected:
                await socket.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_CLOSE)
            return Response()
        self.environ = environ
        self.transport = request.transport
        socket.framed_websocket = self
        if socket.connected:
            await self.handler(self)
        else:
            await self._serve(socket)
        return self._sock

    def take_short_way(self, client: Client) -> None:
        """The client is direct: from now on its chat messages go the short way."""
        self._sock.inbox.take = partial(self._take, client)

    async def _serve(self, socket: Any) -> None:
        """Serve a client that began by websocket, until either side ends it or it answers no pings."""
        socket.connected = socket.upgraded = True
        queued, socket.queue = socket.queue, WriteThrough(self.transport, self._end, self._max_buffered_bytes)
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
        except (exceptions.SocketIsClosedError, ValueError, IndexError, TypeError):
            self._end()

    def _end(self) -> None:
        self._sock.inbox.feed_data(WSMessage(WSMsgType.CLOSING, None, None), 0)

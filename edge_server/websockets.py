"""The websocket of one engine.io socket: it is accepted here, and its messages go into our inbox.

A client that begins by polling stays engine.io's. One that begins by websocket leaves aiohttp and engine.io's
tasks as soon as it has been accepted (direct_websocket.py).
"""

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Final, cast

from aiohttp import WSCloseCode, WSMsgType
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http_websocket import WebSocketReader
from aiohttp.web import Request, Response, StreamResponse, WebSocketResponse
from engineio.async_drivers import aiohttp as aiohttp_driver

from edge_server.arrivals import Arrivals
from edge_server.clients import Client
from edge_server.direct_websocket import DATA, DirectWebSocket, FrameBudget, Take
from edge_server.frames import close_frame, text_frame
from edge_server.reading import Reading
from edge_server.settings import EdgeSettings
from edge_server.unfinished import BoundedReader, Unfinished, count_if_long
from edge_server.write_through import WriteThrough
from runtime import metrics

READ_AHEAD_BYTES: Final = 65_536
"""What a websocket may hold that has been read and not taken, before it reads no more."""

_NO_PACKET: Final = (ValueError, IndexError, TypeError)
"""What engine.io's packets raise for bytes that are none."""


class Inbox(WebSocketDataQueue):
    """What an upgraded websocket's reader writes into. Messages that go the short way never wait in it."""

    take: Callable[[str], bool] | None = None
    """Takes a text the short way; False: it has to go the ordinary one."""

    def __init__(self, reading: Reading, settings: EdgeSettings) -> None:
        super().__init__(cast(Any, reading), READ_AHEAD_BYTES, loop=asyncio.get_running_loop())
        self._budget = FrameBudget(reading.transport, settings)
        self._busy = False
        self.message_ended: Callable[[], None] = lambda: None
        """Called for each message before it is taken, and when no more can come."""

    def feed_data(self, data: Any, size: int) -> None:
        """Take a message. Called by the reader: it must not fail.

        Nothing overtakes what still waits here, or is being handed on. What goes the short way is counted
        there; all else is counted here, whatever kind of frame it is.
        """
        if data[0] in DATA:
            self.message_ended()
        if self.take is None or self._busy or data[0] is not WSMsgType.TEXT or not self.take(data[1]):
            self._busy = True
            self._budget.spend_on_frame()
            super().feed_data(data, size)

    def set_exception(self, exc: BaseException, *cause: Any) -> None:
        """The client has sent what is no websocket frame, or too much."""
        count_if_long(exc)
        super().set_exception(exc, *cause)

    def feed_eof(self) -> None:
        """The connection is gone."""
        self.message_ended()
        super().feed_eof()

    def asked_for_more(self) -> None:
        """All that was taken from here has been handed on, and has begun."""
        if not self._buffer:
            self._busy = False


class ChatWebSocket(WebSocketResponse):
    """A websocket that does not compress, and whose reader puts what comes into our inbox."""

    def __init__(self, settings: EdgeSettings, unfinished: Unfinished) -> None:
        super().__init__(max_msg_size=settings.max_frame_bytes, compress=False, autoping=True)
        self.inbox: Inbox
        self.reading: Reading
        self.reader: BoundedReader
        self._settings = settings
        self._unfinished = unfinished

    def _post_start(self, request: Any, protocol: str | None, writer: Any) -> None:
        self._ws_protocol = protocol
        self._writer = writer
        self.reading = Reading(request.transport)
        self._reader = self.inbox = Inbox(self.reading, self._settings)
        reader = WebSocketReader(self.inbox, self._max_msg_size, compress=False, decode_text=True)
        too_big = partial(_end_too_big, request.transport)
        self.reader = BoundedReader(reader, self._settings, self._unfinished, too_big)
        self.inbox.message_ended = self.reader.message_ended
        request.protocol.set_parser(self.reader)
        request.protocol.keep_alive(False)


class Accepted(WebSocketResponse):
    """Only the acceptance of a websocket, which leaves with what is written first. No more is aiohttp's."""

    _send_headers_immediately = False

    def _post_start(self, request: Any, protocol: str | None, writer: Any) -> None:
        """Begin nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Leave the connection open."""


class FramedWebSocket(aiohttp_driver.WebSocket):  # type: ignore[misc]
    """What engine.io makes of a request for a websocket."""

    transport: Any = None
    reading: Reading

    def __init__(
        self,
        handler: Any,
        server: Any,
        arrivals: Arrivals,
        take: Take,
        ended: Callable[[Any], None],
        settings: EdgeSettings,
        unfinished: Unfinished,
    ) -> None:
        super().__init__(handler, server)
        self._arrivals = arrivals
        self._take = take
        self._ended = ended
        self._settings = settings
        self._unfinished = unfinished

    async def __call__(self, environ: dict[str, Any]) -> StreamResponse:
        """Accept the websocket, and make it known to its engine.io socket."""
        request, socket = environ["aiohttp.request"], self.handler.__self__
        if not socket.connected:
            return await self._accept(request, socket)
        if socket.upgrading:
            metrics.LIMIT_HITS.labels(limit="upgrades of a session").inc()
            return Response(status=HTTPStatus.CONFLICT)
        socket.upgrading = True
        try:
            self._sock = ChatWebSocket(self._settings, self._unfinished)
            await self._sock.prepare(request)
            if socket.sid not in self._arrivals:
                self._sock.reader.sender_is_known()
            self.environ = environ
            self.transport = request.transport
            self.reading = self._sock.reading
            socket.framed_websocket = self
            await self._upgrade(socket)
        except ConnectionResetError:
            return Response()
        finally:
            # Engine.io leaves it so where an upgrade breaks off, and polling would get nothing any more.
            socket.upgrading = False
        return self._sock

    async def wait(self) -> Any:
        """Return the next message. By now the last one's event has begun: it does so in a task of its own."""
        await asyncio.sleep(0)
        self._sock.inbox.asked_for_more()
        return await super().wait()

    async def _accept(self, request: Request, socket: Any) -> StreamResponse:
        """Accept a client that begins by websocket: engine.io's first packet leaves with the acceptance."""
        accepted = Accepted(compress=False)
        try:
            await accepted.prepare(request)
            websocket = self._direct(request.transport, socket)
            await request.writer.write(_waiting_in(socket.queue))
        except ConnectionResetError:
            # They have gone while they waited: in an overload their places among the arrivals are needed.
            await socket.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_CLOSE)
            return Response()
        most = self._settings.max_buffered_bytes
        socket.queue = WriteThrough(websocket.transport, websocket.close, most)
        socket.framed_websocket = websocket
        socket.connected = socket.upgraded = True
        take_from_aiohttp(request, websocket)
        return accepted

    def _direct(self, transport: Any, socket: Any) -> DirectWebSocket:
        ended = partial(self._ended, socket)
        return DirectWebSocket(transport, socket, self._take, ended, self._settings, self._unfinished)

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
        self._sock.reader.sender_is_known()
        self._sock.inbox.take = partial(self._take, client)


def _end_too_big(transport: asyncio.Transport) -> None:
    if not transport.is_closing():
        transport.write(close_frame(WSCloseCode.MESSAGE_TOO_BIG))
        transport.close()


def _waiting_in(queue: asyncio.Queue[Any]) -> bytes:
    return b"".join(text_frame(queue.get_nowait().encode().encode()) for _ in range(queue.qsize()))


def take_from_aiohttp(request: Request, websocket: DirectWebSocket) -> None:
    """Take an accepted connection over, with what has come after the request. For aiohttp it is lost."""
    protocol: Any = request.protocol
    protocol.set_parser(websocket.reader)
    websocket.transport.set_protocol(websocket)
    protocol.transport = None
    protocol.connection_lost(None)

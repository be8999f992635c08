"""Accepts the websocket of an engine.io socket by aiohttp, then takes the connection over from it.

A client that starts with a websocket has its session there at once (direct_websocket.py). One that polls is
switched over to it (coming_over.py).
"""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from aiohttp.web import Request, Response, StreamResponse, WebSocketResponse
from engineio.base_server import BaseServer

from edge_server.arrivals import Arrivals
from edge_server.coming_over import ComingOver
from edge_server.direct_websocket import DirectWebSocket, ShortPath
from edge_server.frames import text_frame
from edge_server.packet_queue import PacketQueue
from edge_server.settings import EdgeSettings
from edge_server.unfinished import Unfinished
from edge_server.write_through import WriteThrough
from runtime import metrics

OnSocket = Callable[[Any], None]


class Accepted(WebSocketResponse):
    """aiohttp's answer that accepts a websocket. It leaves with the first write, and starts nothing."""

    _send_headers_immediately = False

    def _post_start(self, request: Any, protocol: str | None, writer: Any) -> None:
        """Start nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Leave the connection open."""


class WebSockets:
    """Accepts websockets, each for its engine.io socket."""

    def __init__(
        self, settings: EdgeSettings, arrivals: Arrivals, switched_over: OnSocket, ended: OnSocket
    ) -> None:
        self.unfinished = Unfinished(settings)
        self._settings = settings
        self._arrivals = arrivals
        self._switched_over = switched_over
        self._ended = ended

    async def accept(self, socket: Any, short_path: ShortPath, environ: dict[str, Any]) -> StreamResponse:
        """Accept the websocket of an engine.io socket, which polls or is new."""
        request: Request = environ["aiohttp.request"]
        return await (self._accept_upgrade if socket.connected else self._begin)(socket, short_path, request)

    async def _begin(self, socket: Any, short_path: ShortPath, request: Request) -> StreamResponse:
        """Accept a new client. engine.io's first packet leaves in the same write."""
        try:
            accepted = await _accepted(request)
            await request.writer.write(_waiting_in(socket.queue))
        except ConnectionResetError:
            # The client has gone while it waited: free its place among the arrivals.
            await socket.close(wait=False, abort=True, reason=BaseServer.reason.TRANSPORT_CLOSE)
            return Response()
        websocket = self._websocket(request, short_path)
        websocket.set_handler(socket, partial(self._ended, socket))
        socket.queue = WriteThrough(websocket.transport, websocket.close, self._settings.max_buffered_bytes)
        socket.websocket = websocket
        socket.connected = socket.upgraded = True
        _take_from_aiohttp(request, websocket)
        return accepted

    async def _accept_upgrade(self, socket: Any, short_path: ShortPath, request: Request) -> StreamResponse:
        """Accept the websocket of a client that polls, and goes on polling until it has switched over."""
        if socket.websocket is not None:
            metrics.LIMIT_HITS.labels(limit="upgrades of a session").inc()
            return Response(status=HTTPStatus.CONFLICT)
        try:
            accepted = await _accepted(request)
            await request.writer.write(b"")
        except ConnectionResetError:
            return Response()
        websocket = self._websocket(request, short_path)
        if socket.sid not in self._arrivals:
            websocket.logged_in()
        coming = ComingOver(socket, websocket, self._settings, self._switched_over, self._ended)
        websocket.set_handler(coming, coming.ended)
        _take_from_aiohttp(request, websocket)
        return accepted

    def _websocket(self, request: Request, short_path: ShortPath) -> DirectWebSocket:
        transport: Any = request.transport
        return DirectWebSocket(transport, short_path, self._settings, self.unfinished)


async def _accepted(request: Request) -> Accepted:
    """Prepare the answer that accepts a websocket. Raises `ConnectionResetError` if the client is gone."""
    accepted = Accepted(compress=False)
    await accepted.prepare(request)
    return accepted


def _waiting_in(queue: PacketQueue) -> bytes:
    return b"".join(text_frame(waiting.encode().encode()) for waiting in queue.take_all())


def _take_from_aiohttp(request: Request, websocket: DirectWebSocket) -> None:
    """Take over an accepted connection, with the bytes after the request. For aiohttp it is lost."""
    protocol: Any = request.protocol
    protocol.set_parser(websocket.reader)
    websocket.transport.set_protocol(websocket)
    protocol.transport = None
    protocol.connection_lost(None)

"""python-socketio, bent in five places: a websocket whose transport we may write to, and from whose reader we
may take messages; polled bodies that are read to their end; frames that can't be read are answered by a named
refusal; and nothing binary is taken in.

The overridden methods are the libraries' own extension of each other (python-socketio on engine.io); their
versions are pinned, and tests with the official client hold them.
"""

import asyncio
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import orjson
import socketio
from aiohttp.http_websocket import WebSocketReader
from aiohttp.web import Request, WebSocketResponse
from engineio.async_drivers import aiohttp as aiohttp_driver
from engineio.payload import Payload

from edge_server.clients import Client
from edge_server.settings import EdgeSettings
from edge_server.short_way import Inbox
from runtime import refusing
from schemas.client_events import REFUSED
from schemas.refusals import BAD_JSON, INVALID_PAYLOAD, TOO_LARGE, Refused

# engine.io drops a polled body of more packets than this (its default is 16) and answers OK all the same:
# what a standard client may collect between two polls has to fit.
Payload.max_decode_packets = 2_000

_ACK_ID: Final = re.compile(r"2(?:/[^,]{0,64},)?(\d{1,9})\[")
_BINARY: Final = ("5", "6")

READ_AHEAD_BYTES: Final = 65_536
"""What a websocket may hold that has been read and not taken, before it reads no more."""


class Json:
    """orjson in the form in which python-socketio takes a JSON library."""

    @staticmethod
    def dumps(value: object, **_: object) -> str:
        """Return compact JSON."""
        return orjson.dumps(value).decode()

    loads = staticmethod(orjson.loads)


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


class FramedWebSocket(aiohttp_driver.WebSocket):  # type: ignore[misc]
    """The websocket of one engine.io socket. It shows its transport, and lets messages go the short way."""

    transport: Any = None

    def __init__(self, handler: Any, server: Any, take: Callable[[Client, str], bool]) -> None:
        super().__init__(handler, server)
        self._take = take

    async def __call__(self, environ: dict[str, Any]) -> WebSocketResponse:
        """Accept the websocket, make it known to its engine.io socket, and run that to its end."""
        request = environ["aiohttp.request"]
        self._sock = ChatWebSocket(self.server.max_http_buffer_size)
        await self._sock.prepare(request)
        self.environ = environ
        self.transport = request.transport
        self.handler.__self__.framed_websocket = self
        await self.handler(self)
        return self._sock

    def take_short_way(self, client: Client) -> None:
        """The client is direct: from now on its chat messages go the short way."""
        self._sock.inbox.take = partial(self._take, client)


class WholeBody:
    """A polled body. aiohttp's own ``read(n)`` returns what has arrived, which cuts large bodies short."""

    def __init__(self, request: Request) -> None:
        self._content = request.content

    async def read(self, size: int) -> bytes:
        """Return exactly ``size`` bytes."""
        return await self._content.readexactly(size)


def environ_of(request: Request) -> dict[str, Any]:
    """Return what engine.io wants to know of a request."""
    environ: dict[str, Any] = aiohttp_driver.translate_request(request)
    return {**environ, "wsgi.input": WholeBody(request)}


class ChatSocketServer(socketio.AsyncServer):  # type: ignore[misc]
    """The Socket.IO server of an edge."""

    def __init__(self, settings: EdgeSettings) -> None:
        origins = settings.allowed_origins
        super().__init__(
            async_mode="aiohttp",
            json=Json,
            cors_allowed_origins="*" if origins == "*" else [o.strip() for o in origins.split(",")],
            cors_credentials=False,
            ping_interval=settings.ping_interval_s,
            ping_timeout=settings.ping_timeout_s,
            max_http_buffer_size=settings.max_frame_bytes,
            namespaces=["/"],
        )
        driver = {"websocket": self._websocket, "translate_request": environ_of}
        self.eio._async = {**self.eio._async, **driver}  # noqa: SLF001 - the driver's only way in
        self._max_event_bytes = settings.max_event_bytes
        self.take: Callable[[Client, str], bool] = lambda _client, _text: False
        """What takes messages of direct clients; False: this one has to go the ordinary way."""

    def _websocket(self, handler: Any, server: Any) -> FramedWebSocket:
        return FramedWebSocket(handler, server, self.take)

    async def _handle_eio_message(self, eio_sid: str, data: object) -> None:
        if not isinstance(data, str) or data[:1] in _BINARY:
            return await self._refuse(eio_sid, data, Refused(INVALID_PAYLOAD, "Only text events are taken."))
        if len(data) > self._max_event_bytes:
            return await self._refuse(eio_sid, data, Refused(TOO_LARGE))
        try:
            await super()._handle_eio_message(eio_sid, data)
        except (ValueError, TypeError, IndexError, KeyError):
            await self._refuse(eio_sid, data, Refused(BAD_JSON))

    async def _refuse(self, eio_sid: str, data: object, refused: Refused) -> None:
        """Answer as the ack where the frame still shows which ack it asks for, otherwise as an event."""
        body = refusing.answer(refused, eio_sid=eio_sid)
        found = _ACK_ID.match(data) if isinstance(data, str) else None
        kind, ack = (socketio.packet.ACK, int(found[1])) if found else (socketio.packet.EVENT, None)
        answer = [body] if found else [REFUSED, body["error"]]
        await self._send_packet(eio_sid, self.packet_class(kind, data=answer, id=ack, namespace="/"))

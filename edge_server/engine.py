"""engine.io's server, changed for an edge: one task pings all clients, and closing does not wait for them.

Each session has a bounded queue (packet_queue.py), and what clients may send is bounded.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final

import engineio
import orjson
from aiohttp import web
from engineio import packet
from engineio.async_socket import AsyncSocket
from engineio.payload import Payload

from edge_server.packet_queue import PacketQueue
from edge_server.pings import Pings
from runtime import metrics

CHECK_EVERY_S: Final = 0.1
MOST_OF_JSON: Final = 256
MOST_OF_A_BODY: Final = 2_000
"""Packets in a polled body: engine.io refuses one with more. By its own bound, 16, it would refuse what a
standard client may collect between two polls."""


class Json:
    """orjson with the interface that the libraries expect of a JSON module."""

    @staticmethod
    def dumps(value: object, **_: object) -> str:
        """Return compact JSON."""
        return orjson.dumps(value).decode()

    loads = staticmethod(orjson.loads)


class ShortJson:
    """JSON for engine.io, which needs it only to begin a session, but parses all texts that look like it."""

    dumps = Json.dumps

    @staticmethod
    def loads(text: str) -> object:
        """Parse a short text. Raises ValueError for a longer one, which engine.io then keeps as text."""
        if len(text) > MOST_OF_JSON:
            raise ValueError("engine.io says nothing that is so long")
        return orjson.loads(text)


class Engine(engineio.AsyncServer):  # type: ignore[misc]
    """engine.io's server with one task for all pings, bounded queues, and closing without waiting."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # These are global in the library.
        packet.Packet.json = ShortJson
        Payload.max_decode_packets = MOST_OF_A_BODY
        self._pings = Pings(self.ping_interval, self.ping_timeout)

    def start_background_task(self, target: Any, *args: Any, **kwargs: Any) -> Any:
        """Start a task for the library, unless it would only sleep until a ping is due."""
        if getattr(target, "__func__", None) is AsyncSocket._send_ping:  # noqa: SLF001 - there is no other hook
            return self._pings.begin(target.__self__, asyncio.get_running_loop().time())
        return super().start_background_task(target, *args, **kwargs)

    def create_queue(self, *_args: Any, **_kwargs: Any) -> PacketQueue:
        """Return the queue of a new session."""
        return PacketQueue()

    async def disconnect(self, sid: str | None = None) -> None:
        """Close a session without waiting until its client has taken all packets: that may be never."""
        socket = self.sockets.get(sid)
        if socket is not None:
            await socket.close(wait=False, reason=self.reason.SERVER_DISCONNECT)
            self.sockets.pop(sid, None)

    async def handle_request(self, request: web.Request) -> web.StreamResponse:
        """Answer a request. If its session has just ended, answer 400."""
        await self._end_repeated(request)
        try:
            response: web.StreamResponse = await super().handle_request(request)
        except KeyError:
            return web.Response(status=HTTPStatus.BAD_REQUEST, text="Invalid session")
        return response

    def _log_error_once(self, message: str, message_key: str) -> None:
        """Do not log clients' bad requests: they are answered, and operators cannot act on them."""

    async def _end_repeated(self, request: web.Request) -> None:
        """End a session whose poll is repeated: the answer to the first one is lost.

        Browsers, libraries and proxies repeat a GET by themselves when its connection breaks. The client does
        not notice, and would miss messages; in a new session it resumes from its cursors. The repeated poll
        has the same ``t``, which engine.io's clients, if they send it, change with each poll. .NET's writes
        whole seconds, in which it polls several times: digits alone tell nothing.
        """
        stamp = request.query.get("t", "")
        if request.method != "GET" or not stamp or stamp.isdecimal():
            return
        socket = self.sockets.get(request.query.get("sid"))
        if socket is None or socket.upgraded or request.query.get("transport") == "websocket":
            return
        # A hash, so that no long text of a client is kept.
        if socket.queue.last_poll_hash == hash(stamp):
            metrics.LIMIT_HITS.labels(limit="repeated polls").inc()
            await self.answer_lost(socket.sid)
        else:
            socket.queue.last_poll_hash = hash(stamp)

    async def answer_lost(self, sid: str) -> None:
        """End a session of which a poll's answer is lost: the client reconnects with its cursors."""
        socket = self.sockets.get(sid)
        if socket is not None and not socket.upgraded:
            await socket.close(wait=False, reason=self.reason.TRANSPORT_ERROR)
            self.sockets.pop(sid, None)

    async def ping_all(self) -> None:
        """Ping clients that are due, and close those that did not answer, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            for socket in self._pings.due(loop.time()):
                await self._ping(socket)
            for socket in self._pings.timed_out(loop.time()):
                await socket.close(wait=False, reason=self.reason.PING_TIMEOUT)

    async def _ping(self, socket: Any) -> None:
        if not socket.closing and not socket.closed:
            self._pings.pinged(socket, asyncio.get_running_loop().time())
            await socket.send(packet.Packet(packet.PING))

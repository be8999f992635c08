"""engine.io's server, as an edge needs it: one task pings all, and closing waits for nobody.

Each session has a queue that is looked at (packet_queue.py), and what clients may send is bounded.
"""

import asyncio
import time
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
    """orjson in the form in which the libraries take one for JSON."""

    @staticmethod
    def dumps(value: object, **_: object) -> str:
        """Return compact JSON."""
        return orjson.dumps(value).decode()

    loads = staticmethod(orjson.loads)


class ShortJson:
    """For engine.io, which needs JSON only to begin a session, but parses every text that looks like it."""

    dumps = Json.dumps

    @staticmethod
    def loads(text: str) -> object:
        """Parse a short text. Raises ValueError for any other, which engine.io then leaves as it is."""
        if len(text) > MOST_OF_JSON:
            raise ValueError("engine.io says nothing that is so long")
        return orjson.loads(text)


class Engine(engineio.AsyncServer):  # type: ignore[misc]
    """engine.io's server: pings wait together, queues are looked at, and closing waits for nobody."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The library keeps these for the whole process.
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
        """Close a session without waiting until somebody has taken what it still had: that may be never."""
        socket = self.sockets.get(sid)
        if socket is not None:
            await socket.close(wait=False, reason=self.reason.SERVER_DISCONNECT)
            self.sockets.pop(sid, None)

    async def handle_request(self, request: web.Request) -> web.StreamResponse:
        """Answer a request, also one whose session has ended a moment ago."""
        await self._end_repeated(request)
        try:
            response: web.StreamResponse = await super().handle_request(request)
        except KeyError:
            return web.Response(status=HTTPStatus.BAD_REQUEST, text="Invalid session")
        return response

    def _log_error_once(self, message: str, message_key: str) -> None:
        """Say nothing of what strangers ask for wrongly: they are told, and nobody else can act on it."""

    async def _end_repeated(self, request: web.Request) -> None:
        """End a session whose poll comes a second time: the answer to the first one is lost.

        Browsers, libraries and proxies repeat a GET by themselves when its connection breaks. The client does
        not notice and would go on with messages missing; in a new session it resumes from its cursors. The
        repeated poll has the same ``t``, which engine.io's clients, if they send it, change with each poll.
        """
        if request.method != "GET" or (stamp := request.query.get("t")) is None:
            return
        socket = self.sockets.get(request.query.get("sid"))
        if socket is None or socket.upgraded or request.query.get("transport") == "websocket":
            return
        # A hash: nothing long is kept of what strangers say.
        if socket.queue.polled_at == hash(stamp):
            metrics.LIMIT_HITS.labels(limit="repeated polls").inc()
            await self.lost(socket.sid)
        else:
            socket.queue.polled_at = hash(stamp)

    async def lost(self, sid: str) -> None:
        """What a poll brought is lost: end its session, that the client comes again with its cursors."""
        socket = self.sockets.get(sid)
        if socket is not None and not socket.upgraded:
            await socket.close(wait=False, reason=self.reason.TRANSPORT_ERROR)
            self.sockets.pop(sid, None)

    async def ping_all(self) -> None:
        """Ping whoever is due, and close who does not answer, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            for socket in self._pings.due(loop.time()):
                await self._ping(socket, loop.time())
            for socket in self._pings.silent(loop.time()):
                await socket.close(wait=False, reason=self.reason.PING_TIMEOUT)

    async def _ping(self, socket: Any, now: float) -> None:
        if not socket.closing and not socket.closed:
            socket.last_ping = stamp = time.time()
            self._pings.asked(socket, stamp, now)
            await socket.send(packet.Packet(packet.PING))

"""python-socketio's server, changed for an edge. Beside what the library does, it

- closes connections that do not log in in time, and those that leave too much unread;
- gives each connection a budget of events;
- answers invalid packets by a named refusal, which is an event if no ack was asked for;
- accepts only text events, only in the default namespace, and none by a name that the library reserves;
- keeps no rooms.

It hands the library our websockets (websockets.py), our view of a request (engine_requests.py) and our
engine.io server (engine.py).

The overridden methods are the libraries' own extension of each other (python-socketio on engine.io); their
versions are pinned, and tests with the official client hold them.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import socketio

from edge_server.arrivals import CHECK_EVERY_S, Arrivals
from edge_server.direct_websocket import ShortPath
from edge_server.engine import Engine, Json
from edge_server.engine_requests import allowed_origins, environ_of, is_python_client
from edge_server.frames import BYTES_PER_EVENT, event_cost, is_larger
from edge_server.packet_queue import MOST_A_POLL_OF_PYTHONS
from edge_server.settings import EdgeSettings
from edge_server.websockets import WebSockets
from runtime import metrics, refusing
from runtime.budgets import Budgets
from schemas.client_events import REFUSED
from schemas.refusals import (
    BAD_JSON,
    INVALID_PAYLOAD,
    NOT_FOUND,
    RATE_LIMITED,
    TOO_LARGE,
    UNKNOWN_EVENT,
    Refused,
)

for _library in ("engineio.server", "socketio.server", "aiohttp.websocket"):
    # Without a level two print to stderr, beside our lines, and one warns of what any client can cause.
    logging.getLogger(_library).setLevel(logging.ERROR)

_ACK_ID: Final = re.compile(r"(?:2|5\d{1,9}-)(?:/[^,]{0,64},)?(\d{1,9})\[")
"""Which ack an event asks for, also one that says how many binary attachments follow it."""
_CONNECT: Final = re.compile(r"0(/[^,?]{0,64})?")

_BINARY: Final = ("5", "6")
_NOT_FOR_CLIENTS: Final = frozenset({"connect", "disconnect", "*"})


class Sids(socketio.AsyncManager):  # type: ignore[misc]
    """The library's sessions, without its rooms: it has one a session, and searches all at each disconnect.

    With 10 000 clients a disconnect cost 3.6 ms, and all of them together half a minute.
    """

    def basic_enter_room(
        self, sid: str, namespace: str, room: str | None, eio_sid: str | None = None
    ) -> None:
        """Add a session. The rooms are in rooms.py."""
        if room is None:
            super().basic_enter_room(sid, namespace, room, eio_sid)


class ChatSocketServer(socketio.AsyncServer):  # type: ignore[misc]
    """The Socket.IO server of an edge."""

    def __init__(self, settings: EdgeSettings) -> None:
        super().__init__(
            client_manager=Sids(),
            async_mode="aiohttp",
            json=Json,
            cors_allowed_origins=allowed_origins(settings.origins),
            cors_credentials=False,
            ping_interval=settings.ping_interval_s,
            ping_timeout=settings.ping_timeout_s,
            max_http_buffer_size=settings.max_frame_bytes,
            namespaces=["/"],
        )
        driver = {"websocket": self._websocket_of, "translate_request": environ_of}
        self.eio._async = {**self.eio._async, **driver}  # noqa: SLF001 - the driver's only way in
        self._settings = settings
        self.try_short_path: ShortPath = lambda _client, _text: False
        """Takes a message of a direct client; returns False if it has to take the ordinary path."""
        self.on_switched_over: Callable[[str], None] = lambda _sid: None
        """Called with the sid of a client that polled and has switched over to its websocket."""
        self.arrivals = Arrivals(settings)
        self._websockets = WebSockets(settings, self.arrivals, self._switched_over, self._ended)
        self._endings: set[asyncio.Task[None]] = set()
        self._events = Budgets(settings.events_per_s_per_client, settings.events_burst_per_client)

    async def shutdown(self) -> None:
        """Stop, and close the connections that are left: aiohttp closes only its own, not our websockets."""
        await super().shutdown()
        for eio_sid in tuple(self.eio.sockets):
            await self._close(eio_sid)
        await asyncio.gather(*self._endings)

    async def close_late(self) -> None:
        """Close connections that have not logged in in time, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            for eio_sid in self.arrivals.overdue(loop.time()):
                metrics.LIMIT_HITS.labels(limit="slow handshakes").inc()
                self.arrivals.end(eio_sid)
                await self._close(eio_sid)

    async def _handle_eio_connect(self, eio_sid: str, environ: Any) -> None:
        self.arrivals.begin(eio_sid, asyncio.get_running_loop().time())
        socket = self.eio.sockets[eio_sid]
        socket.queue.on_put = partial(self._close_if_queue_full, eio_sid)
        if is_python_client(environ["aiohttp.request"]):
            socket.queue.most_a_poll = MOST_A_POLL_OF_PYTHONS
        socket.websocket = None
        await super()._handle_eio_connect(eio_sid, environ)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        await super()._handle_eio_disconnect(eio_sid, reason)
        self.arrivals.end(eio_sid)
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None and socket.websocket is not None and not socket.upgraded:
            # It would switch over to no session, and nothing bounds it any more.
            socket.websocket.transport.abort()
        if reason == self.eio.reason.PING_TIMEOUT:
            await self._close(eio_sid)

    async def _handle_disconnect(self, eio_sid: str, namespace: str, reason: str | None = None) -> None:
        was_connected = self.manager.sid_from_eio_sid(eio_sid, "/") is not None
        await super()._handle_disconnect(eio_sid, namespace, reason)
        if was_connected:
            self.arrivals.begin_again(eio_sid, asyncio.get_running_loop().time())

    async def disconnect(self, sid: str, namespace: str | None = None, ignore_queue: bool = False) -> None:
        """End a client's session. Its connection is an arrival again, and must end soon, too."""
        eio_sid = self.manager.eio_sid_from_sid(sid, "/")
        await super().disconnect(sid, namespace, ignore_queue)
        if eio_sid in self.eio.sockets:
            self.arrivals.begin_again(eio_sid, asyncio.get_running_loop().time())

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: object) -> None:
        if namespace not in (None, "/"):
            raise Refused(NOT_FOUND, "There is no such namespace: connect without a path.")
        await super()._handle_connect(eio_sid, namespace, data)
        if self.manager.sid_from_eio_sid(eio_sid, "/") is not None:
            self.arrivals.end(eio_sid)
            if eio_sid not in self.environ:
                # The answer was too much for its queue: it was closed before the library called it connected.
                await super()._handle_disconnect(eio_sid, "/", self.reason.SERVER_DISCONNECT)

    def _websocket_of(self, handler: Any, _server: Any) -> Callable[..., Any]:
        """Return what answers a request for a websocket. Called by engine.io with its socket's handler."""
        return partial(self._websockets.accept, handler.__self__, self.try_short_path)

    def _switched_over(self, socket: Any) -> None:
        if (sid := self.manager.sid_from_eio_sid(socket.sid, "/")) is not None:
            self.on_switched_over(sid)

    def _engineio_server_class(self) -> type[Engine]:
        return Engine

    def _ended(self, socket: Any) -> None:
        """Close and remove the engine.io socket of a websocket that is gone."""
        self._endings.add(task := asyncio.create_task(self._forget(socket)))
        task.add_done_callback(self._endings.discard)

    async def _forget(self, socket: Any) -> None:
        await socket.close(wait=False, abort=True, reason=self.eio.reason.TRANSPORT_CLOSE)
        self.eio.sockets.pop(socket.sid, None)
        # A cycle of references would stay until the garbage collector runs, which is rarely.
        socket.websocket = None
        socket.queue.detach()

    async def _handle_event(self, eio_sid: str, namespace: str, ack_id: int | None, data: object) -> None:
        """Check an event's name: a text, and none of those by which the library calls our own handlers."""
        if not isinstance(data, list) or not isinstance(data[0], str):
            raise Refused(INVALID_PAYLOAD, "An event is a list that begins with its name.")
        if data[0] in _NOT_FOR_CLIENTS:
            raise Refused(UNKNOWN_EVENT)
        await super()._handle_event(eio_sid, namespace, ack_id, data)

    async def _handle_event_internal(
        self, server: Any, sid: str, eio_sid: str, data: list[Any], namespace: str, ack_id: int | None
    ) -> None:
        """Handle an event. Without an ack the library drops the answer: then send a refusal as an event."""
        if ack_id is not None:
            await super()._handle_event_internal(server, sid, eio_sid, data, namespace, ack_id)
            return
        answer = await self._trigger_event(data[0], namespace, sid, *data[1:])
        if isinstance(answer, dict) and "error" in answer:
            event = self.packet_class(socketio.packet.EVENT, data=[REFUSED, answer["error"]], namespace="/")
            await self._send_packet(eio_sid, event)

    async def _handle_eio_message(self, eio_sid: str, data: object) -> None:
        # Thousands may arrive together, in one body or at once: serve other clients in between.
        await asyncio.sleep(0)
        if eio_sid not in self.environ:
            # Its session is over. The library would begin another one, which nothing would ever end.
            return None
        if not self.arrivals.admits_packet(eio_sid):
            metrics.LIMIT_HITS.labels(limit="events").inc()
            return await self._close(eio_sid)
        now = asyncio.get_running_loop().time()
        if (refusal := self._refusal_before_parsing(data)) is not None:
            size = len(data) if isinstance(data, str | bytes) else 0
            self._events.owe(eio_sid, now, 1 + size // BYTES_PER_EVENT)
            return await self._refuse_event(eio_sid, data, now, refusal)
        cost = event_cost(str(data))
        if not self._events.pay(eio_sid, now, cost):
            wait_s = self._events.wait_s(eio_sid, now, cost)
            return await self._refuse_event(eio_sid, data, now, Refused(RATE_LIMITED, retry_after_s=wait_s))
        try:
            await super()._handle_eio_message(eio_sid, data)
        except Refused as refused:
            await self._refuse(eio_sid, data, refused)
        except (ValueError, TypeError, IndexError, KeyError):
            await self._refuse(eio_sid, data, Refused(BAD_JSON))

    def _refusal_before_parsing(self, data: object) -> Refused | None:
        """Return the refusal of data that need not be parsed; None for all other."""
        if not isinstance(data, str) or data[:1] in _BINARY:
            return Refused(INVALID_PAYLOAD, "Only text events are accepted.")
        return Refused(TOO_LARGE) if is_larger(data, self._settings.max_event_bytes) else None

    async def _close_if_queue_full(self, eio_sid: str) -> None:
        """Close a connection that leaves too many packets in engine.io's queue, also before login."""
        socket = self.eio.sockets.get(eio_sid)
        if socket is None or socket.closing or socket.queue.qsize() <= self._settings.max_queued_packets:
            return
        metrics.SLOW_CLIENTS.inc()
        await self._close(eio_sid)

    async def _refuse_event(self, eio_sid: str, data: object, now: float, refused: Refused) -> None:
        """Answer by a refusal; close a connection once its debt is as large as the burst."""
        is_flood = self._events.ignores_refusals(eio_sid, now)
        if is_flood or refused.refusal is RATE_LIMITED:
            metrics.LIMIT_HITS.labels(limit="events").inc()
        await (self._close(eio_sid) if is_flood else self._refuse(eio_sid, data, refused))

    async def _close(self, eio_sid: str) -> None:
        """Close a connection at once, dropping its queued packets: it floods, does not read or log in."""
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None and socket.websocket is not None:
            socket.websocket.transport.abort()
        await self.eio.disconnect(eio_sid)

    async def _refuse(self, eio_sid: str, data: object, refused: Refused) -> None:
        """Send a refusal: as the ack if the frame shows which one it asks for, otherwise as an event.

        A refused CONNECT is answered by ``connect_error``: its client handles no event yet.
        """
        # Never engine.io's own id: whoever knows it reads and writes in the name of a client that polls.
        body = refusing.answer(refused, sid=self.manager.sid_from_eio_sid(eio_sid, "/"))
        text = data if isinstance(data, str) else ""
        kind, ack, namespace = socketio.packet.EVENT, None, "/"
        answer: Any = [REFUSED, body["error"]]
        if connect := _CONNECT.match(text):
            kind, namespace = socketio.packet.CONNECT_ERROR, connect[1] or "/"
            answer = {"message": body["error"]["message"], "data": body["error"]}
        elif found := _ACK_ID.match(text):
            kind, answer, ack = socketio.packet.ACK, [body], int(found[1])
        await self._send_packet(eio_sid, self.packet_class(kind, data=answer, id=ack, namespace=namespace))

"""When clients are pinged, and which of them have not answered. What a ping is, is engine.io's.

All wait together: a task and a timer for each would be a sixth of an idle client's memory.
"""

import asyncio
import time
from collections import deque
from http import HTTPStatus
from typing import Any, Final, Protocol

import engineio
from aiohttp import web
from engineio import packet
from engineio.async_socket import AsyncSocket

from edge_server.packet_queue import PacketQueue

LOOK_EVERY_S: Final = 0.1


class Pinged(Protocol):
    """What a ping changes: when the last one left that has not been answered, seconds since 1970."""

    last_ping: float | None


class Pings:
    """Both waits are as long for everybody, so who comes first is due first. Pure: times are arguments."""

    def __init__(self, interval_s: float, timeout_s: float) -> None:
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._next: deque[tuple[float, Any]] = deque()
        self._asked: deque[tuple[float, float, Any]] = deque()

    def begin(self, socket: Pinged, now: float) -> None:
        """A client has connected, or answered: its next ping is due an interval later."""
        self._next.append((now + self._interval_s, socket))

    def due(self, now: float) -> list[Any]:
        """Return, once, who is to be pinged now."""
        found = []
        while self._next and self._next[0][0] <= now:
            found.append(self._next.popleft()[1])
        return found

    def asked(self, socket: Pinged, stamp: float, now: float) -> None:
        """A client has been pinged; ``stamp`` is what its ``last_ping`` says until it answers."""
        self._asked.append((now + self._timeout_s, stamp, socket))

    def silent(self, now: float) -> list[Any]:
        """Return, once, who has had its time to answer and has not."""
        found = []
        while self._asked and self._asked[0][0] <= now:
            _, stamp, socket = self._asked.popleft()
            if socket.last_ping == stamp:
                found.append(socket)
        return found


class Engine(engineio.AsyncServer):  # type: ignore[misc]
    """engine.io's server: pings wait together, queues are looked at, and closing waits for nobody."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pings = Pings(self.ping_interval, self.ping_timeout)

    def start_background_task(self, target: Any, *args: Any, **kwargs: Any) -> Any:
        """Start a task, as the library wants; but one that would only sleep until a ping is due."""
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
        try:
            response: web.StreamResponse = await super().handle_request(request)
        except KeyError:
            return web.Response(status=HTTPStatus.BAD_REQUEST, text="Invalid session")
        return response

    async def ping_all(self) -> None:
        """Ping whoever is due, and close who does not answer, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for socket in self._pings.due(loop.time()):
                await self._ping(socket, loop.time())
            for socket in self._pings.silent(loop.time()):
                await socket.close(wait=False, reason=self.reason.PING_TIMEOUT)

    async def _ping(self, socket: Any, now: float) -> None:
        if not socket.closing and not socket.closed:
            socket.last_ping = stamp = time.time()
            self._pings.asked(socket, stamp, now)
            await socket.send(packet.Packet(packet.PING))

"""A connected client, and how our events and acks are sent to it. engine.io's packets go by its own queue.

Events for a client that polls wait in engine.io's queue. A client with a websocket has no such queue
(write_through.py), and is *direct* once it is in its rooms: bytes go straight to its transport.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from engineio import packet as eio_packet

from edge_server.frames import text_of
from edge_server.reading import RETRY_LATER, Reading
from edge_server.write_through import WriteThrough
from runtime import metrics
from runtime.tokens import Identity

POLLING: Final = "polling"
WEBSOCKET: Final = "websocket"
_CONNECTIONS: Final = {
    transport: metrics.CONNECTIONS.labels(transport=transport) for transport in (POLLING, WEBSOCKET)
}


class QueuedEvent(eio_packet.Packet):  # type: ignore[misc]
    """An event in engine.io's queue, which calls back when it is taken out of it.

    It refers to the one frame that all members share: a text would be a copy for each client that polls, of
    up to four bytes a character.
    """

    def __init__(self, frame: bytes, on_taken: Callable[[], None]) -> None:
        super().__init__(eio_packet.MESSAGE)
        self.frame = frame
        self._on_taken = on_taken

    def encode(self, b64: bool = False) -> Any:  # noqa: ARG002 - as engine.io calls it
        """Return the text in the frame, its packet type included. Called when it is sent."""
        self._on_taken()
        return text_of(self.frame).decode()


class Client:
    """One connection of one user."""

    __slots__ = (
        "_max_bytes", "_max_packets", "_queued_bytes", "_socket", "counted_as", "cursors", "gone",
        "identity", "pause_refusal", "reading", "rooms", "sid", "slow", "transport", "unacked",
    )  # fmt: skip

    def __init__(
        self, sid: str, identity: Identity, socket: Any, *, max_bytes: int, max_packets: int
    ) -> None:
        self.sid = sid
        self.identity = identity
        self.rooms: set[str] = set()
        self.cursors: dict[str, int] | None = None
        """Where to resume rooms that the user is not known to be in yet; None until `Joining.join_all`."""
        self.unacked = 0
        self.transport: asyncio.Transport | None = None
        """The websocket's transport once the client is direct; None before."""
        self.reading: Reading | None = None
        """The reading of that transport."""
        self.slow = False
        self.gone = False
        self.pause_refusal: dict[str, Any] | None = None
        """The refusal because of which reading is paused; None while the client is read."""
        self.counted_as: str | None = None
        self.count_as(POLLING)
        self._socket = socket
        self._queued_bytes = 0
        self._max_bytes = max_bytes
        self._max_packets = max_packets

    @property
    def up(self) -> str:
        """Whose connection this is."""
        return self.identity.up

    def raise_unread_limit(self, more_bytes: int) -> None:
        """Let so many more bytes wait for this client before it counts as slow."""
        self._max_bytes += more_bytes

    def send(self, frame: bytes) -> None:
        """Send one event, given as a frame, unless the client is gone."""
        if self.gone:
            return
        if self.transport is not None:
            self.write(self.transport, frame)
            return
        if isinstance(self._socket.queue, WriteThrough):
            self._socket.queue.put_frame(frame)
            return
        size = len(frame)
        self._count_queued(size, self._socket.queue.qsize())
        self._socket.queue.put_nowait(QueuedEvent(frame, partial(self._count_queued, -size, 0)))

    def send_ack(self, frame: bytes) -> None:
        """Send an ack to a direct client, unless it is gone. Abort the connection if the client is slow."""
        if self.transport is not None and not self.gone:
            self.write(self.transport, frame)
            if self.slow:
                metrics.SLOW_CLIENTS.inc()
                self.gone = True
                self.abort()

    def write(self, transport: asyncio.Transport, frames: bytes) -> None:
        """Write prepared frames, and set ``slow`` if too much of them is left unread."""
        try:
            transport.write(frames)
        except RuntimeError:
            # uvloop refuses to write to a closed handle; engine.io is about to report the disconnect.
            self.gone = True
            return
        if transport.get_write_buffer_size() > self._max_bytes:
            self.slow = True

    def pause_reading(self, seconds: float, refusal: dict[str, Any]) -> None:
        """Pause reading a direct client: what it sends meanwhile waits on its side (backpressure).

        Messages that were read already get the same refusal.
        """
        if self.reading is not None and self.pause_refusal is None:
            self.pause_refusal = refusal
            self.reading.pause(RETRY_LATER)
            asyncio.get_running_loop().call_later(seconds, self._resume_reading, self.reading)

    def _resume_reading(self, reading: Reading) -> None:
        self.pause_refusal = None
        reading.resume(RETRY_LATER)

    def abort(self) -> None:
        """End the connection at once: an orderly close would wait until the client has read everything."""
        if self.transport is not None:
            self.transport.abort()

    def end(self) -> None:
        """End the connection after all queued packets, once: engine.io would leave it open."""
        self._socket.queue.put_nowait(None)
        # A queued event refers to us: the cycle would stay until the garbage collector runs.
        self._socket = None

    def go_direct(self) -> None:
        """Make a client with a websocket direct: from now on its frames go straight to the transport."""
        queue = self._socket.queue
        if isinstance(queue, WriteThrough):
            queue.max_bytes = self._max_bytes
            queue.write_at_once()
            websocket = self._socket.websocket
            self.transport = websocket.transport
            self.reading = websocket.reading
            websocket.use_short_path(self)
            self.count_as(WEBSOCKET)

    def count_as(self, transport: str | None) -> None:
        """Count this connection under its present transport; None when it is gone."""
        if self.counted_as is not None:
            _CONNECTIONS[self.counted_as].dec()
        if transport is not None:
            _CONNECTIONS[transport].inc()
        self.counted_as = transport

    def _count_queued(self, size: int, packets: int) -> None:
        """Count bytes in engine.io's queue, and set ``slow`` if the client leaves too much there."""
        self._queued_bytes += size
        if self._queued_bytes > self._max_bytes or packets >= self._max_packets:
            self.slow = True

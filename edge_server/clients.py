"""A connected client, and how our own events and direct acks reach it; engine.io's packets go by its queue.

What a client that polls gets waits in engine.io's queue. Who has a websocket has none (write_through.py), and
is *direct* once it has been welcomed: bytes go straight to its transport.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from engineio import packet as eio_packet

from edge_server.frames import text_of
from edge_server.reading import RESTS, Reading
from edge_server.write_through import WriteThrough
from runtime import metrics
from runtime.tokens import Identity

POLLING: Final = "polling"
WEBSOCKET: Final = "websocket"
_CONNECTIONS: Final = {
    transport: metrics.CONNECTIONS.labels(transport=transport) for transport in (POLLING, WEBSOCKET)
}


class QueuedEvent(eio_packet.Packet):  # type: ignore[misc]
    """An event in engine.io's queue, which says when it is taken out of it.

    It refers to the one frame that all members share. With a text of its own, each client that waits would
    hold a copy, of up to four bytes a character.
    """

    def __init__(self, frame: bytes, on_taken: Callable[[], None]) -> None:
        super().__init__(eio_packet.MESSAGE)
        self.frame = frame
        self._on_taken = on_taken

    def encode(self, b64: bool = False) -> Any:  # noqa: ARG002 - as engine.io calls it
        """Return the text in the frame, which names the kind of packet, too. Called when it is sent."""
        self._on_taken()
        return text_of(self.frame).decode()


class Client:
    """One connection of one user."""

    __slots__ = (
        "_max_bytes", "_max_packets", "_socket", "_waiting_bytes", "counted_as", "cursors", "gone",
        "identity", "reading", "resting", "rooms", "sid", "slow", "transport", "unacked",
    )  # fmt: skip

    def __init__(
        self, sid: str, identity: Identity, socket: Any, *, max_bytes: int, max_packets: int
    ) -> None:
        self.sid = sid
        self.identity = identity
        self.rooms: set[str] = set()
        self.cursors: dict[str, int] | None = None
        """Where to resume rooms that the user is not known to be in yet; None before the welcome."""
        self.unacked = 0
        self.transport: asyncio.Transport | None = None
        """The websocket's transport once the client is direct; None before."""
        self.reading: Reading | None = None
        """The reading of that transport."""
        self.slow = False
        self.gone = False
        self.resting: dict[str, Any] | None = None
        """The refusal that it was just told, while nothing is read from it; None usually."""
        self.counted_as: str | None = None
        self._socket = socket
        self._waiting_bytes = 0
        self._max_bytes = max_bytes
        self._max_packets = max_packets

    @property
    def up(self) -> str:
        """Whose connection this is."""
        return self.identity.up

    def may_leave_unread(self, more_bytes: int) -> None:
        """Let so much more wait for this client before it counts as slow."""
        self._max_bytes += more_bytes

    def send(self, frame: bytes) -> None:
        """Send one event, given as a frame. Nothing is sent to one that is gone."""
        if self.gone:
            return
        if self.transport is not None:
            self.write(self.transport, frame)
            return
        if isinstance(self._socket.queue, WriteThrough):
            self._socket.queue.put_frame(frame)
            return
        size = len(frame)
        self._wait(size, self._socket.queue.qsize())
        self._socket.queue.put_nowait(QueuedEvent(frame, partial(self._wait, -size, 0)))

    def answer(self, frame: bytes) -> None:
        """Answer a client that is direct, unless it is gone. Who does not read its answers is cut off."""
        if self.transport is not None and not self.gone:
            self.write(self.transport, frame)
            if self.slow:
                metrics.SLOW_CLIENTS.inc()
                self.gone = True
                self.cut_off()

    def write(self, transport: asyncio.Transport, frames: bytes) -> None:
        """Write prepared frames, and notice a client that does not read."""
        try:
            transport.write(frames)
        except RuntimeError:
            # uvloop refuses to write to a closed handle; engine.io is about to report the disconnect.
            self.gone = True
            return
        if transport.get_write_buffer_size() > self._max_bytes:
            self.slow = True

    def rest(self, seconds: float, refusal: dict[str, Any]) -> None:
        """Read nothing from a direct client for a while: what it sends meanwhile waits on its side.

        What was read already gets the same refusal.
        """
        if self.reading is not None and self.resting is None:
            self.resting = refusal
            self.reading.stop(RESTS)
            asyncio.get_running_loop().call_later(seconds, self._wake, self.reading)

    def _wake(self, reading: Reading) -> None:
        self.resting = None
        reading.go_on(RESTS)

    def cut_off(self) -> None:
        """End the connection at once: what it has not read yet would keep an orderly end waiting."""
        if self.transport is not None:
            self.transport.abort()

    def end(self) -> None:
        """End the connection after all that is queued, once: engine.io would leave it open."""
        self._socket.queue.put_nowait(None)
        # An event that nobody takes refers to us: in a circle all would stay until the collector comes by.
        self._socket = None

    def go_direct(self) -> None:
        """Write straight to the transport from now on, if there is a websocket."""
        queue = self._socket.queue
        if isinstance(queue, WriteThrough):
            queue.max_bytes = self._max_bytes
            queue.write_at_once()
            websocket = self._socket.websocket
            self.transport = websocket.transport
            self.reading = websocket.reading
            websocket.take_short_way(self)
            self.count_as(WEBSOCKET)

    def count_as(self, transport: str | None) -> None:
        """Count this connection under its present transport; None when it is gone."""
        if self.counted_as is not None:
            _CONNECTIONS[self.counted_as].dec()
        if transport is not None:
            _CONNECTIONS[transport].inc()
        self.counted_as = transport

    def _wait(self, size: int, packets: int) -> None:
        """Count what waits in the queue, and notice a client that does not take it."""
        self._waiting_bytes += size
        if self._waiting_bytes > self._max_bytes or packets >= self._max_packets:
            self.slow = True

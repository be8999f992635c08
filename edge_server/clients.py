"""A connected client, and the one way in which anything is sent to it.

A client begins *queued*: what it gets goes through engine.io's queue, which polling reads. Once its websocket
is up, a barrier is put into that queue; what comes after it is held until the barrier itself is written, and
from then on the client is *direct*: bytes go straight to its transport. So nothing overtakes anything. Who
began by websocket has no queue (write_through.py), and is direct as soon as it has been welcomed.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from engineio import packet as eio_packet

from edge_server.frames import text_of
from edge_server.reading import Reading
from edge_server.write_through import WriteThrough
from runtime import metrics
from runtime.tokens import Identity

POLLING: Final = "polling"
WEBSOCKET: Final = "websocket"
_CONNECTIONS: Final = {
    transport: metrics.CONNECTIONS.labels(transport=transport) for transport in (POLLING, WEBSOCKET)
}


class Noticed(eio_packet.Packet):  # type: ignore[misc]
    """A packet for engine.io's queue that says when it is taken out of it, and all before it has been."""

    def __init__(self, kind: int, on_taken: Callable[[], None]) -> None:
        super().__init__(kind)
        self._on_taken = on_taken

    def encode(self, b64: bool = False) -> Any:
        """Called by engine.io's writer after it has written all earlier packets."""
        self._on_taken()
        return super().encode(b64=b64)


class NoticedEvent(Noticed):
    """An event in that queue. It refers to the frame that its message has for everybody, until it is taken.

    A text of its own would be as many copies as clients wait for it, of four bytes a character at worst.
    """

    def __init__(self, frame: bytes, on_taken: Callable[[], None]) -> None:
        super().__init__(eio_packet.MESSAGE, on_taken)
        self.frame = frame

    def encode(self, b64: bool = False) -> Any:
        """Return the text in the frame, which names the kind of packet, too."""
        super().encode(b64=b64)
        return text_of(self.frame).decode()


class Client:
    """One connection of one user."""

    __slots__ = (
        "_held", "_max_bytes", "_max_packets", "_socket", "_waiting_bytes", "counted_as", "cursors", "gone",
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
        self._held: list[bytes] | None = None
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
        if isinstance(self._socket.queue, WriteThrough):
            self._socket.queue.max_bytes += more_bytes

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
        if self._held is None:
            self.try_direct()
        if self._held is not None:
            self._hold(self._held, frame)
        else:
            size = len(frame)
            self._wait(size, self._socket.queue.qsize())
            self._socket.queue.put_nowait(NoticedEvent(frame, partial(self._wait, -size, 0)))

    def send_frame(self, frame: bytes) -> None:
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
        """Read nothing from a direct client for a while: what it says meanwhile waits with it, and not here.

        What was read already is to be answered by the same refusal.
        """
        if self.reading is not None and self.resting is None:
            self.resting = refusal
            self.reading.rest()
            asyncio.get_running_loop().call_later(seconds, self._wake, self.reading)

    def _wake(self, reading: Reading) -> None:
        self.resting = None
        reading.wake()

    def cut_off(self) -> None:
        """End the connection at once: what it has not read yet would keep an orderly end waiting."""
        if self.transport is not None:
            self.transport.abort()

    def end(self) -> None:
        """End the connection after all that is queued: engine.io would leave it open."""
        self._socket.queue.put_nowait(None)

    def try_direct(self) -> None:
        """Put the barrier, if the client's websocket is up by now."""
        websocket = getattr(self._socket, "framed_websocket", None)
        if websocket is None or not self._socket.upgraded or self._held is not None:
            return
        if isinstance(self._socket.queue, WriteThrough):
            self._socket.queue.write_at_once()
            self._go_direct(websocket)
            return
        self._held = []
        barrier = Noticed(eio_packet.NOOP, partial(self._go_direct, websocket))
        self._socket.queue.put_nowait(barrier)

    def _go_direct(self, websocket: Any) -> None:
        """What was held comes first. Of one that is gone it is the goodbye, unless it reads nothing."""
        held, self._held = self._held, None
        self._waiting_bytes = 0
        if held and not (self.gone and self.slow):
            self.write(websocket.transport, b"".join(held))
        if self.gone:
            return
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

    def _hold(self, held: list[bytes], frame: bytes) -> None:
        self._wait(len(frame), len(held))
        held.append(frame)

    def _wait(self, size: int, packets: int) -> None:
        """Count what waits in a queue or is held, and notice a client that does not take it."""
        self._waiting_bytes += size
        if self._waiting_bytes > self._max_bytes or packets >= self._max_packets:
            self.slow = True

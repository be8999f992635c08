"""Takes the place of engine.io's queue for a client with a websocket: it writes, and nothing waits.

What is put before the client is direct leaves together at the end of the loop's pass: a write costs more than
its bytes. Afterwards each packet is written at once, as the client's other messages are.
"""

import asyncio
from collections.abc import Callable

from engineio import packet

from edge_server.frames import text_frame
from runtime import metrics


class WriteThrough:
    """Writes packets as frames. None or a close packet ends it."""

    def __init__(self, transport: asyncio.Transport, end: Callable[[], None], max_bytes: int) -> None:
        self._transport = transport
        self._end = end
        self.max_bytes = max_bytes
        """With more unread bytes than this the client is cut off."""
        self._together: list[bytes] | None = []

    def put_nowait(self, item: packet.Packet | None) -> None:
        """Write a packet. Who does not read what it asked for is cut off."""
        if item is not None:
            self.put_frame(text_frame(item.encode().encode()))
        if item is None or item.packet_type == packet.CLOSE:
            self.flush()
            self._end()

    def put_frame(self, frame: bytes) -> None:
        """Write a frame, after everything that was put before."""
        if self._together is None:
            self._write(frame)
            return
        if not self._together:
            asyncio.get_running_loop().call_soon(self.flush)
        self._together.append(frame)

    def flush(self) -> None:
        """Write now what waits for the end of the pass."""
        if self._together:
            frames = b"".join(self._together)
            self._together.clear()
            self._write(frames)

    def write_at_once(self) -> None:
        """From now on nothing waits: the client's messages go straight to the transport, too."""
        self.flush()
        self._together = None

    def let_go(self) -> None:
        """The connection is gone: there is nothing left to end."""
        self._end = lambda: None

    def task_done(self) -> None:
        """A poll that was under way has taken something of the queue that stood here before."""

    def get_nowait(self) -> packet.Packet:
        """There is nothing for that poll any more."""
        raise asyncio.QueueEmpty

    async def put(self, item: packet.Packet | None) -> None:
        """Do what `put_nowait` does, for engine.io."""
        self.put_nowait(item)

    def _write(self, frames: bytes) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(frames)
        if self._transport.get_write_buffer_size() > self.max_bytes:
            metrics.SLOW_CLIENTS.inc()
            self._transport.abort()

"""Replaces engine.io's queue for a client with a websocket: packets are written, and none waits.

Packets that are put before the client is direct are written together at the end of the loop's pass: a write
costs more than its bytes. Afterwards each packet is written at once, as the client's other messages are.
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
        """With more unread bytes than this the connection is aborted."""
        self._together: list[bytes] | None = []

    def put_nowait(self, item: packet.Packet | None) -> None:
        """Write a packet. Abort the connection if too much is left unread."""
        if item is not None:
            self.put_frame(text_frame(item.encode().encode()))
        if item is None or item.packet_type == packet.CLOSE:
            self.flush()
            self._end()

    def put_frame(self, frame: bytes) -> None:
        """Write a frame, after all earlier ones."""
        if self._together is None:
            self._write(frame)
            return
        if not self._together:
            asyncio.get_running_loop().call_soon(self.flush)
        self._together.append(frame)

    def flush(self) -> None:
        """Write buffered frames now."""
        if self._together:
            frames = b"".join(self._together)
            self._together.clear()
            self._write(frames)

    def write_at_once(self) -> None:
        """Write each frame at once from now on: the client's messages go straight to the transport, too."""
        self.flush()
        self._together = None

    def detach(self) -> None:
        """Forget how to close the connection: it is gone."""
        self._end = lambda: None

    def task_done(self) -> None:
        """Do nothing. Called by a poll that took a packet from the queue that this one replaced."""

    def get_nowait(self) -> packet.Packet:
        """Raise `asyncio.QueueEmpty`: that poll gets nothing more."""
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

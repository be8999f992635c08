"""Engine.io's queue of a client that polls: what engine.io puts there is looked at, and bounded.

That are answers, pings, and what ends a poll while a websocket begins. Of our own events clients.py looks at
the number and the bytes.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

from engineio import packet

MOST_A_POLL: Final = 16
"""Python's client takes no answer to a poll that has more packets. The rest is there for its next poll."""


class PacketQueue(asyncio.Queue[Any]):
    """Packets that a client has yet to take. A poll takes the first by `get`, and others by `get_nowait`."""

    on_put: Callable[[], Awaitable[None]] | None = None
    """Looks at what waits, after each packet of engine.io's."""
    _polled = 0
    _queue: deque[Any]

    async def get(self) -> Any:
        """Begin to answer a poll; called by engine.io."""
        self._polled = 0
        return await super().get()

    def get_nowait(self) -> Any:
        """Return one more packet for a poll. Raises `asyncio.QueueEmpty` where it has enough."""
        if self._polled >= MOST_A_POLL:
            raise asyncio.QueueEmpty
        self._polled += 1
        return super().get_nowait()

    def _put(self, item: Any) -> None:
        """A ping is taken first: behind much that waits it would be answered too late. asyncio's own hook."""
        if item is not None and item.packet_type == packet.PING:
            self._queue.appendleft(item)
        else:
            self._queue.append(item)

    def take_all(self) -> list[Any]:
        """Return all packets: no poll will take them."""
        return [super(PacketQueue, self).get_nowait() for _ in range(self.qsize())]

    async def put(self, item: Any) -> None:
        """Put a packet, or None as the end; called by engine.io."""
        await super().put(item)
        if self.on_put is not None:
            await self.on_put()

"""engine.io's queue of a client that polls. What engine.io itself puts there is bounded here.

Those are answers, pings, and packets that end a poll while a websocket begins. Our own events are bounded in
clients.py, by number and bytes.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any, Final

from engineio import packet

MOST_A_POLL_OF_PYTHONS: Final = 16
"""Python's client refuses an answer with more packets. The rest waits for its next poll."""
ENDS_POLLS_AFTER_S: Final = 0.1
"""As engine.io's own server does: a client that comes over waits no longer than this for its poll to end."""


class PacketQueue(asyncio.Queue[Any]):
    """Packets that a client has yet to take. A poll takes the first by `get`, and others by `get_nowait`."""

    on_put: Callable[[], Awaitable[None]] | None = None
    """Looks at what waits, after each packet of engine.io's."""
    most_a_poll: float = inf
    ends_polls = False
    """Whether polls end soon, also with nothing: the client comes over to its websocket after that."""
    polled_at: int | None = None
    """Which poll came last: the hash of its ``t``."""
    _polled = 0
    _queue: deque[Any]

    async def get(self) -> Any:
        """Begin to answer a poll; called by engine.io."""
        self._polled = 0
        if not self.ends_polls:
            return await super().get()
        try:
            async with asyncio.timeout(ENDS_POLLS_AFTER_S):
                return await super().get()
        except TimeoutError:
            self.put_nowait(packet.Packet(packet.NOOP))
            return self.get_nowait()

    def get_nowait(self) -> Any:
        """Return one more packet for a poll. Raises `asyncio.QueueEmpty` where it has enough."""
        if self._polled >= self.most_a_poll:
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

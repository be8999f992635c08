"""engine.io's queue of a client that polls.

It bounds engine.io's own packets: answers, pings, and those that end a poll while a client switches over. Our
own events are bounded in clients.py, by number and bytes.
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
"""How long a client that switches over waits for its poll to end, as with engine.io's own server."""


class PacketQueue(asyncio.Queue[Any]):
    """Packets that wait for a poll: it takes the first by `get`, and others by `get_nowait`."""

    on_put: Callable[[], Awaitable[None]] | None = None
    """Called after each packet that engine.io puts."""
    most_a_poll: float = inf
    ends_polls = False
    """Whether polls end soon, also with nothing: the client is switching over to its websocket."""
    last_poll_hash: int | None = None
    """The hash of the last poll's ``t``."""
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
        """Return one more packet for a poll. Raises `asyncio.QueueEmpty` if the poll has enough."""
        if self._polled >= self.most_a_poll:
            raise asyncio.QueueEmpty
        self._polled += 1
        return super().get_nowait()

    def _put(self, item: Any) -> None:
        """Put a ping in front: behind many packets it would be answered too late. (asyncio's own hook.)"""
        if item is not None and item.packet_type == packet.PING:
            self._queue.appendleft(item)
        else:
            self._queue.append(item)

    def take_all(self) -> list[Any]:
        """Return and remove all packets: no poll will take them."""
        return [super(PacketQueue, self).get_nowait() for _ in range(self.qsize())]

    async def put(self, item: Any) -> None:
        """Put a packet, or None as the end; called by engine.io."""
        await super().put(item)
        if self.on_put is not None:
            await self.on_put()

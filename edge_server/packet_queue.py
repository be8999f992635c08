"""Engine.io's queue of a client that polls, or began so: what engine.io puts there is looked at, and bounded.

That are answers, pings, and what ends a poll while a websocket begins. Of our own events clients.py looks at
the number and the bytes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


class PacketQueue(asyncio.Queue[Any]):
    """Packets that a client has yet to take."""

    on_put: Callable[[], Awaitable[None]] | None = None
    """Looks at what waits, after each packet of engine.io's."""

    async def put(self, item: Any) -> None:
        """Put a packet, or None as the end; called by engine.io."""
        await super().put(item)
        if self.on_put is not None:
            await self.on_put()

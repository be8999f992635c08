"""Who reads history at the same time: few bundles of all, in their order.

What is read for an answer stands in memory until it is put together, and only the gateway pays for that.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runtime import metrics
from schemas.refusals import OVERLOADED, Refused


class BundleTurns:
    """So many bundles at the same time. Others wait, which costs nothing, and only so many of them."""

    def __init__(self, at_once: int, *, max_waiting: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._max_waiting = max_waiting
        self._waiting = 0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold a turn for the length of the block. Raises `Refused`, overloaded, where too many wait."""
        if self._waiting >= self._max_waiting:
            metrics.LIMIT_HITS.labels(limit="bundles").inc()
            raise Refused(OVERLOADED)
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()

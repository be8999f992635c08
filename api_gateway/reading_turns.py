"""Who reads history and names at the same time: a student so often, and few bundles of all.

What is read for an answer stands in memory until it is put together, and only the gateway pays for that.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from runtime import metrics
from schemas.refusals import OVERLOADED, RATE_LIMITED, Refused


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


class ReadsOfUsers:
    """How many reads each student has under way, those that wait for a turn too."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._under_way = Counter[str]()

    def __len__(self) -> int:
        return len(self._under_way)

    @contextmanager
    def one(self, up: str) -> Iterator[None]:
        """Count a read for the length of the block. Raises `Refused`: rate limited."""
        if self._under_way[up] >= self._most:
            metrics.LIMIT_HITS.labels(limit="reads of a user").inc()
            raise Refused(RATE_LIMITED)
        self._under_way[up] += 1
        try:
            yield
        finally:
            self._under_way[up] -= 1
            if not self._under_way[up]:
                del self._under_way[up]

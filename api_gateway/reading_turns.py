"""Bounds on reads under way: how many each student has, and how many messages all bundles hold together.

What is read for an answer stays in the gateway's memory until the answer is complete.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from runtime import metrics
from schemas.refusals import OVERLOADED, RATE_LIMITED, Refused


class BundleTurns:
    """A semaphore of ``most_messages``: each bundle takes as many as it may hold, and releases them.

    At most ``max_waiting`` bundles wait. Bundles of one student run one after the other, so that only one of
    them ever delays another student's.
    """

    def __init__(self, most_messages: int, *, max_waiting: int) -> None:
        self._free = most_messages
        self._max_waiting = max_waiting
        self._waiting = 0
        self._user_locks: dict[str, asyncio.Lock] = {}
        self._bundles = Counter[str]()
        self._queue = asyncio.Lock()
        self._released = asyncio.Event()

    @asynccontextmanager
    async def take(self, up: str, messages: int) -> AsyncIterator[None]:
        """Take ``messages``, at most ``most_messages``, for the length of the block.

        First come, first served, after the student's own earlier bundles: otherwise small bundles could
        overtake a large one for ever. Raises `Refused` (overloaded) if too many wait.
        """
        if self._waiting >= self._max_waiting:
            metrics.LIMIT_HITS.labels(limit="bundles").inc()
            raise Refused(OVERLOADED)
        async with AsyncExitStack() as held:
            self._waiting += 1
            try:
                await held.enter_async_context(self._one_of_user(up))
                async with self._queue:
                    while self._free < messages:
                        self._released.clear()
                        await self._released.wait()
                    self._free -= messages
                    held.callback(self._release, messages)
            finally:
                self._waiting -= 1
            yield

    @asynccontextmanager
    async def _one_of_user(self, up: str) -> AsyncIterator[None]:
        """Hold the student's lock. It is deleted with the last bundle that needs it."""
        lock = self._user_locks.setdefault(up, asyncio.Lock())
        self._bundles[up] += 1
        try:
            async with lock:
                yield
        finally:
            self._bundles[up] -= 1
            if not self._bundles[up]:
                del self._bundles[up], self._user_locks[up]

    def _release(self, messages: int) -> None:
        self._free += messages
        self._released.set()


class ReadsOfUsers:
    """Limits how many reads each student has under way, waiting ones included."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._under_way = Counter[str]()

    @contextmanager
    def counted(self, up: str) -> Iterator[None]:
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

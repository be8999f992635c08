"""Bounds on reads under way: how many each student has, and how many messages all bundles hold together.

What is read for an answer stands in memory until it is put together, and only the gateway pays for that.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from runtime import metrics
from schemas.refusals import OVERLOADED, RATE_LIMITED, Refused


class BundleTurns:
    """A semaphore of ``most_messages``: each bundle takes as many as it may hold, and gives them back.

    Bundles that find too few wait, at most ``max_waiting`` of them. A student's own wait for each other
    first, so that only one of them ever delays somebody else's.
    """

    def __init__(self, most_messages: int, *, max_waiting: int) -> None:
        self._left = most_messages
        self._max_waiting = max_waiting
        self._waiting = 0
        self._of_users: dict[str, asyncio.Lock] = {}
        self._bundles = Counter[str]()
        self._next = asyncio.Lock()
        self._given_back = asyncio.Event()

    @asynccontextmanager
    async def take(self, up: str, messages: int) -> AsyncIterator[None]:
        """Take ``messages``, at most ``most_messages``, for the length of the block.

        First come, first served, once the student's own earlier bundles are done: otherwise small bundles
        could overtake a large one for ever. Raises `Refused`, overloaded, where too many wait.
        """
        if self._waiting >= self._max_waiting:
            metrics.LIMIT_HITS.labels(limit="bundles").inc()
            raise Refused(OVERLOADED)
        async with AsyncExitStack() as held:
            self._waiting += 1
            try:
                await held.enter_async_context(self._alone(up))
                async with self._next:
                    while self._left < messages:
                        self._given_back.clear()
                        await self._given_back.wait()
                    self._left -= messages
                    held.callback(self._give_back, messages)
            finally:
                self._waiting -= 1
            yield

    @asynccontextmanager
    async def _alone(self, up: str) -> AsyncIterator[None]:
        """Be a student's only bundle; they are forgotten after the last one that waits for this."""
        mine = self._of_users.setdefault(up, asyncio.Lock())
        self._bundles[up] += 1
        try:
            async with mine:
                yield
        finally:
            self._bundles[up] -= 1
            if not self._bundles[up]:
                del self._bundles[up], self._of_users[up]

    def _give_back(self, messages: int) -> None:
        self._left += messages
        self._given_back.set()


class ReadsOfUsers:
    """How many reads each student has under way, those that wait for a turn too."""

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

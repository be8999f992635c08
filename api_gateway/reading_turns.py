"""Who reads history and names at the same time: a student so often, and bundles of so many messages of all.

What is read for an answer stands in memory until it is put together, and only the gateway pays for that.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from runtime import metrics
from schemas.refusals import OVERLOADED, RATE_LIMITED, Refused


class BundleTurns:
    """Bundles of so many messages at the same time. Others wait, which costs nothing, and only so many.

    A student has one turn or waits for one, with one bundle: nobody waits for two of somebody else's.
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
    async def one(self, up: str, messages: int) -> AsyncIterator[None]:
        """Hold a turn for so many messages, no more than there are at all, for the length of the block.

        Who came first is first, but waits for their own earlier ones before: small bundles would keep a large
        one waiting for ever. Raises `Refused`, overloaded, where too many wait.
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

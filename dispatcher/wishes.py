"""Writes operators' wishes among the edges' reports; a wish is granted once the published table has it.

Any dispatcher writes wishes; only the leader applies them. A granted wish is in the table, so it outlives
every leader.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from aiokafka.errors import KafkaError

from dispatcher.settings import DispatcherSettings
from runtime.assignments import Assignments
from runtime.kafka import new_producer, stop_soon, write
from schemas import topics
from schemas.assignments import TableAssigned
from schemas.log_records import DrainAsked, EdgesAsked, encode
from schemas.refusals import UNAVAILABLE, Refused

GRANT_DEADLINE_S: Final = 8.0
"""Enough for a new leader to take over; after that operators have to try again."""

ASK_AGAIN_AFTER_S: Final = 2.0
"""A leader reads from when it takes over on: what was written before, it does not know."""

SOURCE: Final = "operator"


class Wishes:
    """Writes wishes and waits until they are granted."""

    def __init__(self, settings: DispatcherSettings, published: Assignments) -> None:
        self._settings = settings
        self._published = published
        self._newer = asyncio.Event()
        published.on_change(lambda _table: self._newer.set())

    async def drain(self, edge: str, drain: bool) -> None:
        """Ask an edge to drain, or no longer. Raises `Refused` (unavailable) if not granted in time."""
        await self._ask(DrainAsked(edge=edge, drain=drain), lambda table: (edge in table.draining) == drain)

    async def edges(self, count: int) -> None:
        """Ask for at least ``count`` edges. Raises `Refused` as `drain` does."""
        await self._ask(EdgesAsked(edges=count), lambda table: table.edges_asked == count)

    async def _ask(self, wish: DrainAsked | EdgesAsked, granted: Callable[[TableAssigned], bool]) -> None:
        try:
            async with asyncio.timeout(GRANT_DEADLINE_S):
                while True:
                    await self._write(wish)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(ASK_AGAIN_AFTER_S):
                            return await self._until(granted)
        except (KafkaError, OSError, TimeoutError) as error:
            raise Refused(UNAVAILABLE, "No dispatcher has done this yet. Try again.") from error

    async def _until(self, granted: Callable[[TableAssigned], bool]) -> None:
        while self._published.table is None or not granted(self._published.table):
            self._newer.clear()
            await self._newer.wait()

    async def _write(self, wish: DrainAsked | EdgesAsked) -> None:
        """Write a wish by a producer of its own: wishes are rare, and no earlier failure has broken it."""
        producer = new_producer(self._settings)
        try:
            await producer.start()
            record = encode(wish, key=SOURCE, source=SOURCE)
            await (await write(producer, topics.EDGE_STATUS, record, 1))
        finally:
            await stop_soon(producer)

"""Reads from MongoDB within bounds: of time, of number, and while the store is away.

The driver's pool is bounded: without these limits the queue of an outage would outlast the outage.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, Final

from api_gateway.settings import GatewaySettings
from runtime import logs, metrics
from runtime.mongo import Document, Sort, Store, StoreUnavailable
from schemas.refusals import HISTORY_UNAVAILABLE, OVERLOADED, Refused

if TYPE_CHECKING:
    from runtime.spans import Spans

log = logging.getLogger(__name__)

RETRY_AFTER_S: Final = 0.5

Found = list[Document]
Read = Callable[[], Awaitable[Found]]


class Breaker:
    """A circuit breaker: while the store is away one read at a time is tried, others are refused. Pure."""

    def __init__(self, *, retry_after_s: float, timeout_s: float) -> None:
        self._retry_after_s = retry_after_s
        self._timeout_s = timeout_s
        self._retry_at: float | None = None
        self._answered_at = -inf

    def admits(self, now: float) -> bool:
        """Return whether to try a read. While the store is away one is tried, the next after its timeout."""
        if self._retry_at is None:
            return True
        if now < self._retry_at:
            return False
        self._retry_at = now + self._timeout_s
        return True

    def succeeded(self, now: float) -> bool:
        """Note that a read succeeded. Return whether the store was away until now."""
        was_away, self._retry_at = self._retry_at is not None, None
        self._answered_at = now
        return was_away

    def has_answered_since(self, began_at: float) -> bool:
        """Return whether a read has succeeded since ``began_at``. Then one that failed was slow by itself.

        If it counted as an outage, one student's slow reads would be one for all.
        """
        return began_at < self._answered_at

    def failed(self, now: float) -> bool:
        """Note that a read failed: the store is away. Return whether it was there until now."""
        was_there, self._retry_at = self._retry_at is None, now + self._retry_after_s
        return was_there


class StoreReads:
    """The store as the gateway reads it. Raises `Refused`: history unavailable, or overloaded."""

    def __init__(self, store: Store, settings: GatewaySettings, spans: "Spans | None" = None) -> None:
        self._store = store
        self._spans = spans
        self._timeout_s = settings.read_timeout_ms / 1000
        self._max_pending = settings.max_pending_reads
        self._pending = 0
        self._breaker = Breaker(retry_after_s=RETRY_AFTER_S, timeout_s=self._timeout_s)
        metrics.PENDING_READS.set_function(lambda: self._pending)

    async def find(
        self, collection: str, query: Document, *, sort: Sort = (), skip: int = 0, limit: int = 0
    ) -> Found:
        """Return the documents that match, in ``sort`` order."""
        return await self._read(
            "find",
            collection,
            lambda: self._store.find(collection, query, sort=sort, skip=skip, limit=limit),
        )

    async def aggregate(self, collection: str, pipeline: Sequence[Document]) -> Found:
        """Return what an aggregation gives."""
        return await self._read("aggregate", collection, lambda: self._store.aggregate(collection, pipeline))

    async def _read(self, operation: str, collection: str, read: Read) -> Found:
        if self._spans is None:
            return await self._bounded(read)
        with self._spans.read(operation, collection):
            return await self._bounded(read)

    async def _bounded(self, read: Read) -> Found:
        loop = asyncio.get_running_loop()
        if self._pending >= self._max_pending:
            metrics.LIMIT_HITS.labels(limit="reads").inc()
            raise Refused(OVERLOADED)
        if not self._breaker.admits(loop.time()):
            raise Refused(HISTORY_UNAVAILABLE)
        self._pending += 1
        reading = asyncio.ensure_future(self._timed(read))
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            # Nobody handles its error any more, not even if this wait is cancelled, too: by the client of a
            # bundle that took too long.
            reading.add_done_callback(lambda done: done.cancelled() or done.exception())
            # The store goes on reading: this read counts until it ends, though its caller is gone.
            await asyncio.wait({reading})
            raise
        finally:
            # A failed task keeps its error, whose traceback keeps all callers' frames, with what a bundle has
            # read so far. This frame would close the cycle, and the garbage collector runs rarely.
            del reading

    async def _timed(self, read: Read) -> Found:
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await read()
        except (StoreUnavailable, TimeoutError) as error:
            if self._breaker.has_answered_since(began_at):
                metrics.LIMIT_HITS.labels(limit="slow reads").inc()
            elif self._breaker.failed(loop.time()):
                log.error("the store is away", extra=logs.facts(error=str(error) or repr(error)))
            # The traceback of a timeout keeps the task: a cycle, too.
            error.__traceback__ = None
            raise Refused(HISTORY_UNAVAILABLE) from error
        else:
            if self._breaker.succeeded(loop.time()):
                log.info("the store answers again")
            return found
        finally:
            self._pending -= 1

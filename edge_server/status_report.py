"""Reports this edge's load and state to the dispatcher, once a second."""

import asyncio
import logging
from collections.abc import Callable

from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata

from edge_server.drain import Drain
from edge_server.rooms import Rooms
from edge_server.settings import EdgeSettings
from runtime import logs
from runtime.kafka import KeptProducer, write
from schemas import topics
from schemas.ids import ProcessId
from schemas.log_records import REPORT_EVERY_S, EdgeReported, encode, spread_of
from schemas.up_number import point_of

log = logging.getLogger(__name__)


class Rate:
    """The growth of a counter a second, between two calls."""

    def __init__(self, count: Callable[[], float], clock: Callable[[], float]) -> None:
        self._count = count
        self._clock = clock
        self._before = (clock(), count())

    def per_s(self) -> float:
        """Return the growth a second since the last call."""
        (then, before), now = self._before, (self._clock(), self._count())
        self._before = now
        return (now[1] - before) / max(0.001, now[0] - then)


class StatusReport:
    """Writes this edge's reports to ``edge.status``."""

    def __init__(
        self,
        settings: EdgeSettings,
        url: str,
        process: ProcessId,
        producer: KeptProducer,
        rooms: Rooms,
        drain: Drain,
        messages: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._url = url
        self._producer = producer
        self._rooms = rooms
        self._drain = drain
        self._messages = Rate(messages, clock)
        self._process = process
        self._stopped = False
        self._clock = clock
        self._silent_since: float | None = None

    def silent_s(self) -> float:
        """Return for how long the log has taken no report."""
        return 0.0 if self._silent_since is None else self._clock() - self._silent_since

    async def run(self) -> None:
        """Report for ever. A report that can't be written is dropped: the next one says more."""
        while True:
            await self.report()
            await asyncio.sleep(REPORT_EVERY_S)

    async def report(self) -> None:
        """Write one report now, and wait a bounded time for the log to take it."""
        report = EdgeReported(
            edge=self._settings.edge_name,
            url=self._url,
            capacity=self._settings.edge_capacity,
            connected=len(self._rooms.clients),
            state="stopped" if self._stopped else "draining" if self._drain.wanted else "serving",
            deaf=self._drain.deaf,
            process=self._process,
            messages_per_s=round(self._messages.per_s(), 1),
            spread=spread_of(point_of(client.up) for client in self._rooms.clients.values()),
        )
        record = encode(report, key=report.edge, source=self._settings.edge_name)
        started_at = self._clock()
        try:
            async with asyncio.timeout(REPORT_EVERY_S):
                written = await write(self._producer, topics.EDGE_STATUS, record, 1)
                written.add_done_callback(self._on_written)
                # A slow log answers late: that counts, too.
                await asyncio.shield(written)
        except (KafkaError, OSError, TimeoutError) as error:
            self._silent_since = started_at if self._silent_since is None else self._silent_since
            log.warning("a status report was not written", extra=logs.facts(error=repr(error)))

    def _on_written(self, written: "asyncio.Future[RecordMetadata]") -> None:
        if not written.cancelled() and written.exception() is None:
            self._silent_since = None

    async def stopped(self) -> None:
        """Report that this edge has stopped."""
        self._stopped = True
        await self.report()

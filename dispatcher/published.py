"""The table as it stands in the log: of all that were published, the newest by epoch and version."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from aiokafka import ConsumerRecord

from runtime import logs, metrics
from runtime.log_reader import LogReader
from runtime.settings import KafkaSettings
from schemas import topics
from schemas.assignments import TableAssigned
from schemas.log_records import BadRecord

log = logging.getLogger(__name__)


class PublishedTable:
    """The newest table that was read so far; None while there is none."""

    def __init__(self) -> None:
        self.newest: TableAssigned | None = None

    def take(self, _partition: int, records: Sequence[ConsumerRecord]) -> None:
        """Fold records of ``dispatch.assignments``."""
        for record in records:
            try:
                table = TableAssigned.read(record.headers, record.value)
            except BadRecord as error:
                metrics.BAD_RECORDS.labels(topic=topics.ASSIGNMENTS).inc()
                log.warning(
                    "a table cannot be read",
                    extra=logs.facts(offset=record.offset, reason=str(error)),
                )
                continue
            if self.newest is None or table.age_key > self.newest.age_key:
                self.newest = table


async def read_published(settings: KafkaSettings) -> TableAssigned | None:
    """Return the newest table of all that stand in the log now, however long Kafka takes to answer."""
    published = PublishedTable()
    reader = LogReader(settings, topics.ASSIGNMENTS, published.take)
    reading = asyncio.create_task(reader.run())
    done = asyncio.create_task(reader.caught_up.wait())
    try:
        await asyncio.wait({reading, done}, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            reading.result()
        return published.newest
    finally:
        for task in (done, reading):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

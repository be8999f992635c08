"""Reads the newest published table from the log, when a leader takes over."""

import asyncio
from collections.abc import Callable

from runtime.assignments import Assignments
from runtime.log_reader import LogReader
from runtime.settings import KafkaSettings
from schemas import topics
from schemas.assignments import TableAssigned


async def read_published(
    settings: KafkaSettings, new_reader: Callable[..., LogReader] = LogReader
) -> TableAssigned | None:
    """Return the newest table in the log, however long Kafka takes to answer; None if there is none."""
    published = Assignments()
    reader = new_reader(settings, topics.ASSIGNMENTS, published.take)
    reading = asyncio.create_task(reader.run())
    done = asyncio.create_task(reader.caught_up.wait())
    try:
        await asyncio.wait({reading, done}, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            reading.result()
        return published.table
    finally:
        for task in (done, reading):
            task.cancel()
        # Awaiting one directly would hide our own cancellation: this dispatcher would not stop leading.
        await asyncio.wait({done, reading})

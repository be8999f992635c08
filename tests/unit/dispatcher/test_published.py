"""The table at the start of a term: whoever is cancelled while reading it, or cannot, does not go on."""

import asyncio

import pytest

from dispatcher.published import read_published
from runtime.log_reader import LogReader
from runtime.service import Fatal
from runtime.settings import KafkaSettings


class StopsSlowly(LogReader):
    """A reader that has caught up at once, and whose consumer takes a moment to stop."""

    stops = asyncio.Event()

    async def run(self) -> None:
        self.caught_up.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stops.set()
            await asyncio.sleep(0.01)


async def test_a_dispatcher_that_stops_just_as_it_has_read_the_table_stops() -> None:
    reading = asyncio.create_task(read_published(KafkaSettings(), StopsSlowly))
    await StopsSlowly.stops.wait()
    reading.cancel()
    await asyncio.wait({reading})
    assert reading.cancelled()


class ReadsAnotherLog(LogReader):
    """A reader that ends before it has caught up."""

    async def run(self) -> None:
        raise Fatal("another log")


async def test_a_log_that_cannot_be_read_is_not_one_without_a_table() -> None:
    with pytest.raises(Fatal):
        await read_published(KafkaSettings(), ReadsAnotherLog)

"""The table at the start of a term: whoever is cancelled while reading it does not go on."""

import asyncio

from dispatcher.published import read_published
from runtime.log_reader import LogReader
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

"""Tells the dispatcher, once a second, how full this edge is and what it wants."""

import asyncio
import logging
from collections.abc import Callable
from typing import Literal

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from edge_server.settings import EdgeSettings
from runtime import logs
from runtime.kafka import write
from schemas import topics
from schemas.log_records import EdgeReported, encode

log = logging.getLogger(__name__)

State = Literal["serving", "draining", "stopped"]


class StatusReport:
    """Writes this edge's reports to ``edge.status``."""

    def __init__(
        self,
        settings: EdgeSettings,
        url: str,
        producer: AIOKafkaProducer,
        connected: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._url = url
        self._producer = producer
        self._connected = connected
        self.state: State = "serving"

    async def run(self) -> None:
        """Report for ever. A report that can't be written is dropped: the next one says more."""
        while True:
            await self.report()
            await asyncio.sleep(self._settings.report_every_ms / 1000)

    async def report(self) -> None:
        """Write one report now, and wait a bounded time for the log to take it."""
        report = EdgeReported(
            edge=self._settings.edge_name,
            url=self._url,
            capacity=self._settings.edge_capacity,
            connected=self._connected(),
            state=self.state,
        )
        record = encode(report, key=report.edge, source=self._settings.edge_name)
        try:
            async with asyncio.timeout(self._settings.report_every_ms / 1000):
                await (await write(self._producer, topics.EDGE_STATUS, record, 1))
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("a status report is not written", extra=logs.facts(error=repr(error)))

    async def say(self, state: State) -> None:
        """Report another state at once."""
        self.state = state
        await self.report()

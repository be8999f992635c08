"""Writes presence to ``chat.users``: 'online' when a client asks for it, 'offline' after a user's last one.

Presence is a hint for people. A client that moves connects to the next edge first: each record names its
edge, so that a late 'offline' of the previous edge changes nothing. It names the edge's process, too: a
killed one writes no 'offline', and its successor has the same name.
"""

import asyncio
import logging

from aiokafka.errors import KafkaError

from edge_server.clients import Client
from edge_server.settings import EdgeSettings
from runtime import logs, metrics
from runtime.kafka import RETRY_AFTER_S, KeptProducer, write
from runtime.refusing import CountedElsewhere
from runtime.service import Service
from schemas import topics
from schemas.ids import ProcessId
from schemas.log_records import PresenceChanged, encode
from schemas.refusals import UNAVAILABLE

log = logging.getLogger(__name__)
log.addFilter(logs.RateLimit())

MAX_WAITING_DEPARTURES = 10_000
DRAIN_WITHIN_S = 2.0
"""The longest time that a stopping edge waits for departures: they are hints, and Kafka may be away."""


class Presence:
    """Writes presence records of this edge's users."""

    def __init__(self, settings: EdgeSettings, producer: KeptProducer, process: ProcessId) -> None:
        self._settings = settings
        self._process = process
        self._producer = producer
        self._shown: set[str] = set()
        self._departed: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING_DEPARTURES)

    def start(self, service: Service) -> None:
        """Write departures in the background; at the stop, wait for those of the last clients."""
        service.supervise("write departures", self._write_departures)
        service.resources.push_async_callback(self.drain, DRAIN_WITHIN_S)

    async def online(self, client: Client) -> None:
        """Show a user as online. Raises `Refused` (unavailable) if the log does not take it in time."""
        # Before the ack: the record may be in the log whether it is acked in time or not, and the user may
        # leave meanwhile.
        self._shown.add(client.up)
        try:
            async with asyncio.timeout(self._settings.send_timeout_ms / 1000):
                await self._write(client.up, True)
        except (KafkaError, OSError, TimeoutError) as error:
            metrics.PRESENCE_FAILURES.inc()
            raise CountedElsewhere(UNAVAILABLE) from error

    def left(self, client: Client) -> None:
        """Show a user whose last client is gone as offline, if they were shown as online."""
        if client.up in self._shown:
            self._shown.discard(client.up)
            self._show_soon(client.up)

    async def drain(self, deadline_s: float) -> None:
        """Wait until all departures are written, but for ``deadline_s`` at most."""
        try:
            async with asyncio.timeout(deadline_s):
                await self._departed.join()
        except TimeoutError:
            log.warning("departures cannot be shown", extra=logs.facts(waiting=self._departed.qsize()))

    def _show_soon(self, up: str) -> None:
        try:
            self._departed.put_nowait(up)
        except asyncio.QueueFull:
            metrics.LIMIT_HITS.labels(limit="departures").inc()
            log.warning("a departure cannot be shown", extra=logs.facts(waiting=self._departed.qsize()))

    async def _write_departures(self) -> None:
        """Write waiting departures together: a stopping edge has no time for one after the other."""
        while True:
            departed = [await self._departed.get()]
            while not self._departed.empty():
                departed.append(self._departed.get_nowait())
            await self._producer.ready()
            await asyncio.gather(*map(self._write_departure, departed))

    async def _write_departure(self, up: str) -> None:
        """Show a user as offline, unless they have come back. If that fails it is tried again."""
        try:
            if up not in self._shown:
                await self._write(up, False)
        except (KafkaError, OSError) as error:
            metrics.PRESENCE_FAILURES.inc()
            log.warning("a departure cannot be shown yet", extra=logs.facts(error=repr(error)))
            await asyncio.sleep(RETRY_AFTER_S)
            self._show_soon(up)
        finally:
            self._departed.task_done()

    async def _write(self, up: str, online: bool) -> None:
        record = encode(
            PresenceChanged(up=up, online=online, edge=self._settings.edge_name, process=self._process),
            key=f"{up}/online",
            source=self._settings.edge_name,
        )
        await (await write(self._producer, topics.USERS, record, self._settings.kafka_partitions))

"""Who is shown as online: a record on ``chat.users`` when a client says so, and when a user's last one goes.

Presence is a hint for people. It is written without waiting where nobody waits for it. Who moves connects
to another edge first: each record names its edge, so that 'offline' from the one they left changes nothing.
"""

import asyncio
import logging

from aiokafka.errors import KafkaError

from edge_server.clients import Client
from edge_server.settings import EdgeSettings
from runtime import logs
from runtime.kafka import KeptProducer, write
from runtime.service import Service
from schemas import topics
from schemas.log_records import PresenceChanged, encode
from schemas.refusals import UNAVAILABLE, Refused

log = logging.getLogger(__name__)

MAX_WAITING_DEPARTURES = 10_000


class Presence:
    """Writes presence records of this edge's users."""

    def __init__(self, settings: EdgeSettings, producer: KeptProducer) -> None:
        self._settings = settings
        self._producer = producer
        self._shown: set[str] = set()
        self._departed: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING_DEPARTURES)

    def start(self, service: Service) -> None:
        """Write departures in the background."""
        service.supervise("write departures", self._write_departures)

    async def online(self, client: Client) -> None:
        """Show a user as online. Raises `Refused` (unavailable) where the log does not take it in time."""
        # Before the answer: the record may stand in the log whether it comes in time or not, and while it
        # is awaited the user may leave.
        self._shown.add(client.up)
        try:
            async with asyncio.timeout(self._settings.send_timeout_ms / 1000):
                await self._write(client.up, True)
        except (KafkaError, OSError, TimeoutError) as error:
            raise Refused(UNAVAILABLE) from error

    def left(self, client: Client) -> None:
        """A user's last client here is gone: show them as offline, if they were shown as online."""
        if client.up in self._shown:
            self._shown.discard(client.up)
            try:
                self._departed.put_nowait(client.up)
            except asyncio.QueueFull:
                log.warning("a departure is not shown", extra=logs.facts(waiting=self._departed.qsize()))

    async def _write_departures(self) -> None:
        while True:
            up = await self._departed.get()
            if up in self._shown:
                continue  # They came back before it was written.
            try:
                await self._write(up, False)
            except (KafkaError, OSError) as error:
                log.warning("a departure is not shown", extra=logs.facts(error=repr(error)))

    async def _write(self, up: str, online: bool) -> None:
        record = encode(
            PresenceChanged(up=up, online=online, edge=self._settings.edge_name),
            key=f"{up}/online",
            source=self._settings.edge_name,
        )
        await (await write(self._producer, topics.USERS, record, self._settings.kafka_partitions))

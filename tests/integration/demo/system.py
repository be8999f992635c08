"""The whole system as real processes for tests, on a broker and a store of its own.

The topics have fixed names: a broker that other tests use would show their edges to our dispatcher.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from deploy.demo.fill import InternalApi
from deploy.demo.local_system import LocalSystem
from deploy.demo.university import PlannedGroup
from deploy.local.backing import without_given
from loadtest.rest import RestApi
from runtime.settings import KafkaSettings
from schemas import topics
from tests.integration.backing import new_group


@contextmanager
def running_system(folder: Path, **options: Any) -> Iterator[LocalSystem]:
    """Run the system, its data and logs under ``folder``, on ports that no other system prefers."""
    with LocalSystem(
        data_dir=folder / "data",
        log_dir=folder / "logs",
        environ=without_given(os.environ),
        usual_ports=False,
        **options,
    ) as system:
        yield system


async def records_of(system: LocalSystem, *names: str) -> list[ConsumerRecord]:
    """Return all records that stand in these topics now."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=system.backing.env()["KAFKA_BOOTSTRAP_SERVERS"],
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        keyed = KafkaSettings().kafka_partitions
        partitions = [
            TopicPartition(name, n) for name in names for n in range(topics.ALL[name].partitions(keyed))
        ]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        records: list[ConsumerRecord] = []
        while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            for batch in (await consumer.getmany(timeout_ms=1_000)).values():
                records += batch
        return records
    finally:
        await consumer.stop()


class Campus:
    """The APIs of a running system, and the numbers and groups that a test needs."""

    def __init__(self, system: LocalSystem, session: aiohttp.ClientSession) -> None:
        self.system = system
        self.session = session
        self.api = RestApi(session, system.public_url)
        self.internal = InternalApi(session, system.internal_url, system.service_token)

    async def group(self, *ups: str) -> str:
        """Create a group of these students, and return its id."""
        group = PlannedGroup(new_group(), "A test's group", ups)
        await self.internal.create(group)
        return group.id

    async def locate(self, up: str) -> str:
        """Return the URL of a student's edge."""
        return await self.api.locate(self.system.mint_token(up))


@asynccontextmanager
async def open_campus(system: LocalSystem) -> AsyncIterator[Campus]:
    """Open a session with a running system."""
    async with aiohttp.ClientSession() as session:
        yield Campus(system, session)

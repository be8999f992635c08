"""How fast the persister drains a backlog, and bare ``insert_many`` of the same documents into that store.

The persister is frozen while the backlog is written, so that it meets all of it at once.
"""

import asyncio
import time
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from motor.motor_asyncio import AsyncIOMotorClient

from loadtest.server_side import cpu_s
from persister.read_records import TOPICS
from persister.settings import PersisterSettings
from runtime.kafka import started_producer, write
from runtime.settings import KafkaSettings, MongoSettings
from schemas import documents, topics
from schemas.documents import MessageDocument, message_document, progress_key
from schemas.log_records import MessageSent, encode
from tests.bench.processes import Rig, Server, Size, own_cpu_s
from tests.bench.rounds import Figures, compare
from tests.bench.socket_clients import TEXT
from tests.bench.table import Row
from tests.integration.backing import new_group

MESSAGES = 3_000
GROUPS = 40
AT_ONCE = 1_000
LOOK_EVERY_S = 0.02
DRAIN_DEADLINE_S = 120.0


class Backlog:
    """Messages that stand in the log, as the documents that they must become."""

    def __init__(self, settings: KafkaSettings, producer: AIOKafkaProducer) -> None:
        self._settings = settings
        self._producer = producer
        self._made = 0
        self._groups = [new_group() for _ in range(GROUPS)]
        self.documents: list[MessageDocument] = []
        self.ends: dict[str, int] = {}
        """By key of progress: the next offset after the backlog."""

    async def write(self, messages: int) -> None:
        """Write new messages, and wait until they are in the log."""
        made: list[tuple[MessageDocument, int]] = []
        while len(made) < messages:
            # Each batch that leaves wakes all who wait for room: with 30 000 that never ends.
            some = min(AT_ONCE, messages - len(made))
            made += await asyncio.gather(*(self._one() for _ in range(some)))
        self.documents = [document for document, _ in made]
        for document, partition in made:
            key = progress_key(topics.MESSAGES, partition)
            self.ends[key] = max(self.ends.get(key, 0), document["seq"] + 1)

    async def _one(self) -> tuple[MessageDocument, int]:
        self._made += 1
        group = self._groups[self._made % GROUPS]
        sent = MessageSent(
            id=f"bench-{self._made:010d}", group=group, up="up999999999", message=TEXT, sent_at=1
        )
        record = encode(sent, key=group, source="bench")
        written = await (
            await write(self._producer, topics.MESSAGES, record, self._settings.kafka_partitions)
        )
        return message_document(sent, seq=written.offset, timestamp=written.timestamp), written.partition


class Persister:
    """A persister that is set before a backlog."""

    def __init__(self, server: Server, database: Any, backlog: Backlog) -> None:
        self._server = server
        self._progress = database[documents.PROGRESS]
        self._backlog = backlog

    async def drain(self, messages: int) -> Figures:
        """Prepare a backlog and measure until the store says that all of it is there."""
        self._server.process.freeze()
        await self._backlog.write(messages)
        before, started = cpu_s(self._server.pid), time.perf_counter()
        self._server.process.thaw()
        async with asyncio.timeout(DRAIN_DEADLINE_S):
            while not await self._is_drained():  # noqa: ASYNC110 - another process drains
                await asyncio.sleep(LOOK_EVERY_S)
        took = time.perf_counter() - started
        used = cpu_s(self._server.pid) - before
        return {"per_s": messages / took, "cpu_us": used / messages * 1e6}

    async def _is_drained(self) -> bool:
        found = await self._progress.find({"_id": {"$in": list(self._backlog.ends)}}).to_list(None)
        stored = {one["_id"]: one["next"] for one in found}
        return all(stored.get(key, 0) >= end for key, end in self._backlog.ends.items())


class BareDriver:
    """The driver, one batch after the other."""

    def __init__(self, database: Any, backlog: Backlog, batch: int) -> None:
        self._messages = database[documents.MESSAGES]
        self._backlog = backlog
        self._batch = batch

    async def insert(self) -> Figures:
        """Insert the documents of the last backlog."""
        made = self._backlog.documents
        before, started = own_cpu_s(), time.perf_counter()
        for start in range(0, len(made), self._batch):
            await self._messages.insert_many(made[start : start + self._batch], ordered=False)
        took, used = time.perf_counter() - started, own_cpu_s() - before
        return {"per_s": len(made) / took, "cpu_us": used / len(made) * 1e6}


async def begin_at_the_end(settings: KafkaSettings, group: str, progress: Any) -> None:
    """Let a consumer group begin at the end of what stands in the log: both it and the store say so."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(name, n) for name in TOPICS for n in range(settings.kafka_partitions)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        await consumer.commit(ends)
        await progress.insert_many(
            [{"_id": progress_key(tp.topic, tp.partition), "next": end} for tp, end in ends.items()]
        )
    finally:
        await consumer.stop()


async def run(rig: Rig, size: Size) -> list[Row]:
    """Compare both ways into the store."""
    settings, name = KafkaSettings(), new_group()
    batch = PersisterSettings().flush_after_records
    client: Any = AsyncIOMotorClient(MongoSettings().mongodb_uri.get_secret_value(), w="majority")
    try:
        bare = client[f"{name}-bare"]
        for keys in documents.INDEXES[documents.MESSAGES]:
            await bare[documents.MESSAGES].create_index(keys)
        await begin_at_the_end(settings, name, client[name][documents.PROGRESS])
        server = await rig.persister(name, name)
        async with started_producer(settings) as producer:
            backlog = Backlog(settings, producer)
            persister = Persister(server, client[name], backlog)
            driver = BareDriver(bare, backlog, batch)
            compared = await compare(size.rounds, lambda: persister.drain(size.of(MESSAGES)), driver.insert)
        for database in (name, bare.name):
            await client.drop_database(database)
    finally:
        client.close()
    return [
        compared.row(f"messages stored, batches of {batch}", "per_s", "1/s", better="higher"),
        compared.row("CPU a stored message (without the store's)", "cpu_us", "µs"),
    ]

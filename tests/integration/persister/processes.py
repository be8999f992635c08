"""Persisters as processes that can be killed, and what the store holds of a test's groups."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local.ports import free_ports
from deploy.local.processes import ManagedProcess
from deploy.repository import REPOSITORY
from runtime.kafka import partition_of
from runtime.mongo import Store, open_store
from runtime.settings import KafkaSettings, MongoSettings
from schemas import documents, topics
from tests.metrics_text import metric_sum


class Persister:
    """One persister process. ``database`` and ``group`` are the test's own, so that tests don't meet."""

    def __init__(self, folder: Path, database: str, *, group: str = "", **settings: str) -> None:
        [self.port] = free_ports(1)
        self.folder = folder / uuid4().hex[:8]
        self.process = ManagedProcess(
            name="persister",
            argv=[sys.executable, "-m", "persister"],
            env={
                "MONGODB_DATABASE": database,
                "PERSISTER_GROUP": group or database,
                "SESSION_TIMEOUT_MS": "6000",
                "MONGODB_TIMEOUT_MS": "3000",
                "OPS_PORT": str(self.port),
                "LOG_DIR": str(self.folder / "logs"),
                "LOG_STDOUT": "text",
                **settings,
            },
            log_file=self.folder / "stdout.log",
            cwd=REPOSITORY,
        )

    async def start(self) -> None:
        """Start it without waiting."""
        await asyncio.to_thread(self.process.launch)

    async def stop(self) -> int | None:
        """Stop it in order, and return its exit code."""
        await asyncio.to_thread(self.process.stop)
        return self.process.returncode

    async def kill(self) -> None:
        """End it as a crash would."""
        await asyncio.to_thread(self.process.kill)

    async def get(self, path: str) -> tuple[int, str]:
        """Ask its ops port; (0, "") while that doesn't answer."""
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{self.port}{path}") as response,
            ):
                return response.status, await response.text()
        except aiohttp.ClientError:
            return 0, ""

    async def is_ready(self) -> bool:
        """Whether readiness says yes."""
        return (await self.get("/readyz"))[0] == 200

    async def metric(self, sample: str, **labels: str) -> float:
        """Return the sum of a metric's samples that have these labels."""
        _, text = await self.get("/metrics")
        return metric_sum(text, sample, **labels)

    def log(self) -> str:
        """What it has written to stdout."""
        return (self.folder / "stdout.log").read_text()


class History:
    """What the store holds of a database of the test's own."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def messages(self, group: str) -> list[dict[str, Any]]:
        """Return a group's messages in log order."""
        return await self.store.find(documents.MESSAGES, {"group": group}, sort=[("seq", 1)])

    async def one(self, collection: str, key: str) -> dict[str, Any] | None:
        """Return a document, without what the persister keeps for itself."""
        found = await self.store.find(collection, {"_id": key})
        return {name: value for name, value in found[0].items() if "eq" not in name} if found else None

    async def next_of(self, tp: TopicPartition) -> int:
        """Return the progress of a partition."""
        key = documents.progress_key(tp.topic, tp.partition)
        found = await self.store.find(documents.PROGRESS, {"_id": key})
        return int(found[0]["next"]) if found else 0


@asynccontextmanager
async def open_history(database: str) -> AsyncIterator[History]:
    """Open a database for reading, with patience for a machine that does much else."""
    async with open_store(MongoSettings(mongodb_database=database, mongodb_timeout_ms=30_000)) as store:
        yield History(store)


def partition_with(key: str, topic: str = topics.MESSAGES) -> TopicPartition:
    """Return the partition of a key: a group's messages have their group."""
    settings = KafkaSettings()
    number = partition_of(key.encode(), settings.kafka_partitions)
    return TopicPartition(settings.topic(topic), number)


@asynccontextmanager
async def _outside_member(database: str) -> AsyncIterator[Any]:
    """A consumer that speaks for the test's consumer group, which is named after its database."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=KafkaSettings().kafka_bootstrap_servers, group_id=database, enable_auto_commit=False
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def group_commits(database: str, group: str, offset: int) -> None:
    """Commit an offset of the group's partition, as a persister would."""
    tp = partition_with(group)
    async with _outside_member(database) as consumer:
        consumer.assign([tp])
        await consumer.commit({tp: offset})


async def all_is_committed(database: str) -> bool:
    """Whether the consumer group is at the end of every partition of messages."""
    settings = KafkaSettings()
    topic = settings.topic(topics.MESSAGES)
    partitions = [TopicPartition(topic, n) for n in range(settings.kafka_partitions)]
    async with _outside_member(database) as consumer:
        ends = await consumer.end_offsets(partitions)
        return all([(await consumer.committed(tp) or 0) >= ends[tp] for tp in partitions])

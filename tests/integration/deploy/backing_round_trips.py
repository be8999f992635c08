"""What the tests of backing services do with them: write and read by the clients that services use."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import NewTopic
from pydantic import SecretStr

from runtime.mongo import open_store
from runtime.settings import MongoSettings
from tests.integration.backing import open_admin

DEADLINE_MS = 60_000
PARTITION = 3


async def make_topic(
    bootstrap: str, name: str, config: dict[str, str] | None = None, *, partitions: int = 12, copies: int = 1
) -> None:
    """Create a topic; raises AssertionError with the broker's word when it refuses."""
    async with open_admin(bootstrap) as admin:
        new = NewTopic(name, partitions, copies, topic_configs=config or {})
        answer = await admin.create_topics([new])
        assert [error[1] for error in answer.topic_errors] == [0], answer
        # Of several brokers, the one that is asked may hear of the topic a moment later.
        end = asyncio.get_running_loop().time() + DEADLINE_MS / 1000
        while len((await admin.describe_topics([name]))[0]["partitions"]) != partitions:
            assert asyncio.get_running_loop().time() < end, name
            await asyncio.sleep(0.1)


async def produce(bootstrap: str, topic: str, values: Sequence[bytes], *, idempotent: bool) -> list[int]:
    """Write values to one partition, each acknowledged before the next; returns their offsets."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=idempotent)
    await producer.start()
    try:
        headers = [("ce_type", b"test")]
        sent = [
            await producer.send_and_wait(topic, value, partition=PARTITION, headers=headers, timestamp_ms=1)
            for value in values
        ]
        return [record.offset for record in sent]
    finally:
        await producer.stop()


async def read_all(bootstrap: str, topic: str) -> list[ConsumerRecord]:
    """Every committed record of that partition, from its beginning up to its end as it is now."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed")
    await consumer.start()
    try:
        place = TopicPartition(topic, PARTITION)
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        end = (await consumer.end_offsets([place]))[place]
        records: list[ConsumerRecord] = []
        while await consumer.position(place) < end:
            got = await consumer.getmany(place, timeout_ms=DEADLINE_MS)
            records += got.get(place, [])
        return records
    finally:
        await consumer.stop()


async def insert(uri: str, ids: Sequence[str]) -> None:
    """Insert documents, as many as there are ids, in one acknowledged batch."""
    async with open_store(_settings(uri)) as store:
        await store.insert_new("messages", [{"_id": one} for one in ids])


async def stored_ids(uri: str) -> set[str]:
    """The ids of all documents that `insert` has stored."""
    async with open_store(_settings(uri)) as store:
        return {str(document["_id"]) for document in await store.find("messages", {})}


def _settings(uri: str) -> MongoSettings:
    return MongoSettings(mongodb_uri=SecretStr(uri), mongodb_timeout_ms=DEADLINE_MS)

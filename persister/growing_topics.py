"""Changes Kafka when the log grows: seals old topics, creates new ones that begin at an offset, copies state.

To let a partition begin at an offset, records are written up to it in transactions that are aborted, so that
no reader ever sees them, and then deleted.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from persister.batch import Ends
from runtime import kafka
from runtime.kafka_topics import config_of
from runtime.settings import KafkaSettings
from schemas import topics

Config = dict[str, str]

POLL_MS: Final = 500
FETCH_WAITS_MS: Final = 10
"""How long a broker delays an empty fetch, and with it other requests on that connection.

With the default of 500 a partition took one to two seconds, and nobody can chat meanwhile.
"""
CHECK_EVERY_S: Final = 0.1
DONE_WITHIN_S: Final = 60.0
"""How long Kafka may take to apply a change; it usually takes a second or two."""
RECORDS_AT_ONCE: Final = 5_000
SET_ON_THE_TOPIC: Final = 1
"""Kafka's number for the source of a config: the topic itself, not the broker."""
WHILE_FILLED: Final = {"cleanup.policy": "delete", "retention.ms": "-1"}
"""Kafka deletes records by offset only in topics with the policy delete."""


class GrowingTopics:
    """The topics of a log, while its next generation is made."""

    def __init__(self, settings: KafkaSettings, admin: Any, consumer: AIOKafkaConsumer) -> None:
        self._settings = settings
        self._admin = admin
        self._consumer = consumer

    async def exists(self, topic: str) -> bool:
        """Return whether there is a topic of this name."""
        return topic in await self._admin.list_topics()

    async def config(self, topic: str) -> Config:
        """Return the config of the topic itself, without a seal."""
        code, entries = await config_of(self._admin, topic)
        _raise_for(code)
        config = {name: value for name, value, _, source, *_ in entries if source == SET_ON_THE_TOPIC}
        return dict(config.items() - topics.SEAL.items())

    async def configure(self, topic: str, config: Config) -> None:
        """Replace the config of the topic itself."""
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, config)
        for answer in await self._admin.alter_configs([resource]):
            for code, *_ in answer.resources:
                _raise_for(code)

    async def ends(self, topic: str, partitions: int) -> Ends:
        """Return the end of each partition: the offset of the next record."""
        ends: Ends = await self._consumer.end_offsets([TopicPartition(topic, n) for n in range(partitions)])
        return ends

    async def create(self, topic: str, partitions: int, config: Config) -> None:
        """Create a topic, and wait until it is there."""
        replicas = self._settings.kafka_replication_factor
        new = NewTopic(topic, partitions, replicas, topic_configs=config)
        for _, code, *_ in (await self._admin.create_topics([new])).topic_errors:
            _raise_for(code)
        await wait_until(lambda: self.exists(topic), f"{topic} is not there yet")

    async def delete(self, topic: str) -> None:
        """Delete a topic, and wait until it is gone."""
        for _, code in (await self._admin.delete_topics([topic])).topic_error_codes:
            _raise_for(code)
        await wait_until(lambda: self._is_gone(topic), f"{topic} is not gone yet")

    async def _is_gone(self, topic: str) -> bool:
        return not await self.exists(topic)

    async def add_partitions(self, topic: str, partitions: int) -> None:
        """Add partitions to a topic in place. Only for topics whose offsets nobody keeps."""
        (found,) = await self._admin.describe_topics([topic])
        if len(found["partitions"]) < partitions:
            await self._admin.create_partitions({topic: NewPartitions(partitions)})

    async def begin_at(self, topic: str, partitions: int, offset: int) -> Ends:
        """Let each partition of a new topic begin at ``offset`` or a little later; return where."""
        tps = [TopicPartition(topic, n) for n in range(partitions)]
        if offset > 0:
            await self._fill(tps, offset)
            await wait_until(
                lambda: self._reaches(topic, partitions, offset), f"{topic} does not reach {offset} yet"
            )
        ends = await self.ends(topic, partitions)
        await self._admin.delete_records({tp: RecordsToDelete(end) for tp, end in ends.items()})
        return ends

    async def _reaches(self, topic: str, partitions: int, offset: int) -> bool:
        """Return whether all partitions end at ``offset`` or later, for readers of committed records."""
        return min((await self.ends(topic, partitions)).values()) >= offset

    async def _fill(self, tps: Sequence[TopicPartition], offset: int) -> None:
        producer = kafka.new_producer(self._settings, transactional_id="grow")
        await producer.start()
        try:
            # Each answers once its leader leads: in Kafka 3.6 a transaction that comes earlier has failed.
            ends: Ends = await self._consumer.end_offsets(tps)
            while missing := {tp: offset - end for tp, end in ends.items() if end < offset}:
                await producer.begin_transaction()
                sent = {tp: await _send(producer, tp, count) for tp, count in missing.items()}
                for tp, (count, written) in sent.items():
                    ends[tp] = (await written).offset + count
                await producer.abort_transaction()
        finally:
            await producer.stop()

    async def state(self, tp: TopicPartition) -> list[ConsumerRecord]:
        """Return the newest record of each key that a partition has, without tombstones."""
        first, ends = await self._consumer.beginning_offsets([tp]), await self._consumer.end_offsets([tp])
        self._consumer.assign([tp])
        self._consumer.seek(tp, first[tp])
        newest: dict[bytes, ConsumerRecord] = {}
        while await self._consumer.position(tp) < ends[tp]:
            for records in (await self._consumer.getmany(timeout_ms=POLL_MS)).values():
                newest |= {record.key: record for record in records}
        return [record for record in newest.values() if record.value is not None]


@asynccontextmanager
async def growing_topics(settings: KafkaSettings) -> AsyncIterator[GrowingTopics]:
    """Connect to Kafka for the length of the block. Raises `KafkaError` where it does not answer."""
    admin = kafka.new_admin(settings)
    try:
        await admin.start()
        async with kafka.started_consumer(settings, fetch_max_wait_ms=FETCH_WAITS_MS) as consumer:
            yield GrowingTopics(settings, admin, consumer)
    finally:
        await admin.close()


async def wait_until(condition: Callable[[], Awaitable[bool]], otherwise: str) -> None:
    """Poll until ``condition`` holds. Raises TimeoutError with the text ``otherwise``."""
    try:
        async with asyncio.timeout(DONE_WITHIN_S):
            while True:
                if await condition():
                    return
                await asyncio.sleep(CHECK_EVERY_S)
    except TimeoutError as error:
        raise TimeoutError(f"{otherwise}, after {DONE_WITHIN_S:g} s") from error


async def write_all(settings: KafkaSettings, topic: str, records: Sequence[ConsumerRecord]) -> None:
    """Write records unchanged, each to the partition of its key by ``settings``."""
    async with kafka.started_producer(settings) as producer:
        for start in range(0, len(records), RECORDS_AT_ONCE):
            written = [
                await producer.send(
                    topic,
                    key=record.key,
                    value=record.value,
                    headers=list(record.headers),
                    partition=kafka.partition_of(record.key, settings.kafka_partitions),
                )
                for record in records[start : start + RECORDS_AT_ONCE]
            ]
            await asyncio.gather(*written)


async def _send(producer: AIOKafkaProducer, tp: TopicPartition, count: int) -> tuple[int, Any]:
    """Send as many empty records as fit into a batch, at most ``count``; return how many, and the future."""
    batch = producer.create_batch()
    now_ms, sent = int(time.time() * 1000), 0
    while sent < count and batch.append(timestamp=now_ms, key=None, value=b"", headers=[]) is not None:
        sent += 1
    batch.close()
    return sent, await producer.send_batch(batch, tp.topic, partition=tp.partition)


def _raise_for(code: int) -> None:
    if code:
        # The library does not know all errors: the number says what "unknown" was.
        raise for_code(code)(f"Kafka's error {code}")

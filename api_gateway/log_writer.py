"""Writes to Kafka within bounds: every write is durable when it returns, or refused in time.

A refused write may still reach the log later, so a retry must use the same id.
"""

import asyncio
import itertools
import logging
from asyncio import Future
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata, TopicPartition

from api_gateway.settings import GatewaySettings
from runtime import logs, metrics
from runtime.kafka import KeptProducer, partition_of, write
from schemas.log_records import Encoded, header
from schemas.refusals import OVERLOADED, UNAVAILABLE, Refused

if TYPE_CHECKING:
    from runtime.spans import Spans

log = logging.getLogger(__name__)
# Where Kafka refuses writes, each request of a client would log a line, all alike.
log.addFilter(logs.RateLimit())

SOURCE: Final = "api_gateway"


class WrittenRecord(NamedTuple):
    """Where a durable record stands. ``kafka_topic`` is the topic's name in this generation.

    The offset is -1 if the broker had the record already, from an earlier try: it does not return where.
    """

    kafka_topic: str
    partition: int
    offset: int
    timestamp: int


class LogWriter:
    """Writes records, and counts those that are not acked yet."""

    def __init__(
        self, settings: GatewaySettings, producer: KeptProducer, spans: "Spans | None" = None
    ) -> None:
        self._settings = settings
        self._spans = spans
        self._producer = producer
        self._numbers = itertools.count()
        self._pending = 0
        self._began: defaultdict[TopicPartition, dict[int, float]] = defaultdict(dict)
        """By partition: when each pending write began, oldest first. A broker that does not answer must delay
        only the groups of its own partitions."""
        metrics.PENDING_WRITES.set_function(lambda: self._pending)

    async def write(self, topic: str, *records: Encoded) -> list[WrittenRecord]:
        """Write records, and return where they stand once every in-sync replica has them.

        Raises `Refused`: ``overloaded`` if too many records are pending; ``unavailable`` if Kafka does not
        ack in time, and at once if there is no producer or an older write of one of the partitions has
        waited for too long.
        """
        partitions = [self._partition(topic, record) for record in records]
        self._admit(partitions)
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(self._settings.send_timeout_ms / 1000):
                futures = [await self._send(*pair) for pair in zip(partitions, records, strict=True)]
                await asyncio.wait(futures)
            acks = [future.result() for future in futures]
        except (KafkaError, OSError, TimeoutError) as error:
            log.error("a write failed", extra=logs.facts(topic=topic, error=repr(error)))
            raise Refused(UNAVAILABLE) from error
        metrics.WRITE_ACK_SECONDS.observe(loop.time() - started)
        return [WrittenRecord(ack.topic, ack.partition, ack.offset, ack.timestamp) for ack in acks]

    def _partition(self, topic: str, record: Encoded) -> TopicPartition:
        return TopicPartition(topic, partition_of(record.key, self._settings.kafka_partitions))

    def _admit(self, partitions: Sequence[TopicPartition]) -> None:
        if self._pending + len(partitions) > self._settings.max_pending_writes:
            metrics.LIMIT_HITS.labels(limit="writes").inc()
            raise Refused(OVERLOADED)
        overdue = asyncio.get_running_loop().time() - self._settings.refuse_when_waiting_ms / 1000
        if any(self._oldest_began(partition, overdue) < overdue for partition in partitions):
            raise Refused(UNAVAILABLE)

    def _oldest_began(self, partition: TopicPartition, default: float) -> float:
        """Return when (loop time) the oldest pending write of a partition began."""
        return next(iter(self._began[partition].values()), default)

    async def _send(self, partition: TopicPartition, record: Encoded) -> "Future[RecordMetadata]":
        """Give a record to the producer. It is pending until Kafka has answered, even without a caller."""
        number = next(self._numbers)
        self._began[partition][number] = asyncio.get_running_loop().time()
        self._pending += 1
        try:
            future = await self._send_traced(partition.topic, record)
        except BaseException:
            self._end_pending(partition, number)
            raise
        future.add_done_callback(lambda _: self._end_pending(partition, number))
        return future

    def _end_pending(self, partition: TopicPartition, number: int) -> None:
        del self._began[partition][number]
        self._pending -= 1

    async def _send_traced(self, topic: str, record: Encoded) -> "Future[RecordMetadata]":
        """Give a record to the producer, with a span if it is sampled."""
        span = None
        if self._spans is not None:
            span = self._spans.send(topic, key=record.key.decode(), message_id=_ce_id(record))
        if span is None:
            return await write(self._producer, topic, record, self._settings.kafka_partitions)
        record = record._replace(headers=[*record.headers, *span.headers])
        try:
            future = await write(self._producer, topic, record, self._settings.kafka_partitions)
        except BaseException as error:
            span.failed(type(error).__name__)
            raise
        future.add_done_callback(span.settle)
        return future


def _ce_id(record: Encoded) -> str:
    return (header(record.headers, "ce_id") or b"").decode()

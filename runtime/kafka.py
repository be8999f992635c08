"""Makes Kafka clients with our guarantees, computes a key's partition, and waits for brokers.

All clients are made here: the library's own defaults are neither ``acks=all`` nor idempotent nor
``read_committed``.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Collection
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import lru_cache, partial
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, KafkaTimeoutError, ProducerClosed, TopicAuthorizationFailedError
from aiokafka.partitioner import murmur2
from aiokafka.structs import RecordMetadata, TopicPartition

from runtime import logs, metrics
from runtime.aiokafka_mends import pace_metadata
from runtime.health import waiting_for
from runtime.service import is_being_cancelled
from runtime.settings import KafkaSettings
from schemas import topics
from schemas.log_records import Encoded

log = logging.getLogger(__name__)

RETRY_AFTER_S: Final = 1.0
STOP_HANGS_AFTER_S: Final = 3.0
"""How long a service waits for a client of Kafka that stops: less than its ``SHUTDOWN_DEADLINE_S`` leaves,
also an edge's after its drain."""
MAX_BATCH_BYTES: Final = 262_144
"""With the library's own 16 KB many waiting writers cost quadratic time: each batch that leaves wakes all."""


@lru_cache(maxsize=200_000)
def partition_of(key: bytes, partitions: int) -> int:
    """Return a key's partition: the rule of Kafka's own clients, so that foreign producers agree."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


def access(settings: KafkaSettings) -> dict[str, Any]:
    """Return the options of every Kafka client: its name, the brokers' addresses, TLS and credentials."""
    return {
        "client_id": settings.kafka_client_id,
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": settings.kafka_tls,
        "sasl_mechanism": settings.kafka_sasl_mechanism,
        "sasl_plain_username": settings.kafka_username,
        "sasl_plain_password": settings.kafka_password.get_secret_value(),
    }


def new_admin(settings: KafkaSettings) -> AIOKafkaAdminClient:
    """Return a client, not started, that creates and describes topics."""
    return AIOKafkaAdminClient(**access(settings), request_timeout_ms=settings.kafka_request_timeout_ms)


def new_producer(settings: KafkaSettings, *, transactional_id: str | None = None) -> AIOKafkaProducer:
    """Return a producer, not started: acks=all and idempotent (as far as the broker can be)."""
    durable = settings.kafka_durable
    producer = AIOKafkaProducer(
        **access(settings),
        acks="all",
        enable_idempotence=durable,
        transactional_id=transactional_id if durable else None,
        request_timeout_ms=settings.kafka_request_timeout_ms,
        max_request_size=topics.MAX_RECORD_BYTES,
        max_batch_size=MAX_BATCH_BYTES,
        metadata_max_age_ms=30_000,
    )
    pace_metadata(producer.client)
    return producer


def new_consumer(
    settings: KafkaSettings, *names: str, auto_offset_reset: str = "none", **own: Any
) -> AIOKafkaConsumer:
    """Return a consumer, not started: it reads committed records, and commits no offsets by itself."""
    return AIOKafkaConsumer(
        *names,
        **access(settings),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset=auto_offset_reset,
        metadata_max_age_ms=30_000,
        **{"request_timeout_ms": settings.kafka_request_timeout_ms, **own},
    )


@asynccontextmanager
async def started_producer(settings: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    """Start a producer, however long the broker takes to answer, and stop it at the end.

    Its records are settled then; if the task is cancelled, that wait is bounded (`stop_soon`).
    """
    producer = await until_reached(lambda: new_producer(settings), "producer")
    try:
        yield producer
    finally:
        await (stop_soon(producer) if is_being_cancelled() else producer.stop())


@asynccontextmanager
async def started_consumer(
    settings: KafkaSettings, *names: str, **own: Any
) -> AsyncIterator[AIOKafkaConsumer]:
    """Start a consumer, as `new_consumer` makes it, and stop it at the end. Raises `KafkaError`."""
    consumer = new_consumer(settings, *names, **own)
    try:
        await consumer.start()
        yield consumer
    finally:
        await stop_soon(consumer)


_stopping: Final[set["asyncio.Task[None]"]] = set()
"""Clients that are stopping by themselves: each ends once Kafka answers, or its requests time out."""


async def stop_soon(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    """Stop a client of Kafka, but wait `STOP_HANGS_AFTER_S` at most: while Kafka is away that may take long.

    The stop is never cancelled: the client's tasks and connections would stay for good.
    """
    stopping = asyncio.create_task(_stop(client))
    _stopping.add(stopping)
    stopping.add_done_callback(_stopping.discard)
    await asyncio.wait({stopping}, timeout=STOP_HANGS_AFTER_S)
    if stopping.done():
        stopping.result()
    else:
        log.warning("a client of Kafka did not stop in time", extra=logs.facts(seconds=STOP_HANGS_AFTER_S))


async def _stop(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    try:
        await client.stop()
    except asyncio.CancelledError:
        if not isinstance(client, AIOKafkaConsumer) or is_being_cancelled():
            raise
        # It awaits the fetches that it has cancelled: a paused one ends it before its connections are closed.
        await client._client.close()  # noqa: SLF001 - stopping it again does nothing


class KeptProducer:
    """A producer that is replaced when it has failed for good.

    An idempotent producer fails for good when it is fenced, when its sequence has a gap (it gave up a batch
    of a partition that had no leader for too long), or when its sender has died: from then on it would refuse
    all records. Its earlier records are settled before the next one starts; until then `ready` waits, and
    sending raises `ProducerClosed`.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._usable = asyncio.Event()
        self._failed = asyncio.Event()

    async def run(self) -> None:
        """Keep a producer running, for ever. To be supervised."""
        while True:
            self._failed.clear()
            async with self._started() as self._producer:
                self._usable.set()
                try:
                    await self._failed.wait()
                    metrics.PRODUCER_REBUILDS.inc()
                finally:
                    self._usable.clear()

    async def ready(self) -> None:
        """Wait until there is a producer that has not failed."""
        await self._usable.wait()

    async def send(self, topic: str, **record: Any) -> "asyncio.Future[RecordMetadata]":
        """Send a record, as aiokafka's own producer does."""
        producer = self._usable_producer()
        return await self._watched(topic, producer, producer.send(self._settings.topic(topic), **record))

    def create_batch(self) -> Any:
        """Return an empty batch, for `send_batch`."""
        return self._usable_producer().create_batch()

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> "asyncio.Future[RecordMetadata]":
        """Send a batch, as aiokafka's own producer does."""
        producer = self._usable_producer()
        sending = producer.send_batch(batch, self._settings.topic(topic), partition=partition)
        return await self._watched(topic, producer, sending)

    def _started(self) -> AbstractAsyncContextManager[AIOKafkaProducer]:
        return started_producer(self._settings)

    def _usable_producer(self) -> AIOKafkaProducer:
        if not self._usable.is_set():
            raise ProducerClosed
        return self._producer

    async def _watched(
        self, topic: str, producer: AIOKafkaProducer, sending: Awaitable["asyncio.Future[RecordMetadata]"]
    ) -> "asyncio.Future[RecordMetadata]":
        try:
            future = await sending
        except KafkaError as error:
            self._retire_if_failed(topic, producer, error)
            raise
        future.add_done_callback(partial(self._settle, topic, producer))
        return future

    def _settle(self, topic: str, producer: AIOKafkaProducer, done: "asyncio.Future[RecordMetadata]") -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            self._retire_if_failed(topic, producer, error)

    def _retire_if_failed(self, topic: str, producer: AIOKafkaProducer, error: BaseException) -> None:
        """Replace a producer that failed for good. Its late errors must not end its successor.

        A topic that it may not write to is no failure of the producer: others are still written.
        """
        if isinstance(error, TopicAuthorizationFailedError):
            return
        if producer is self._producer and self._usable.is_set() and is_for_good(error):
            facts = {"topic": topic, "error": repr(error)}
            log.error("a producer failed for good and is replaced", extra=logs.facts(**facts))
            self._usable.clear()
            self._failed.set()


def is_for_good(error: BaseException) -> bool:
    """Return whether a client has failed for good. A full buffer's `KafkaTimeoutError` is not retriable, but
    passes."""
    return isinstance(error, KafkaError) and not (error.retriable or isinstance(error, KafkaTimeoutError))


async def write(
    producer: AIOKafkaProducer | KeptProducer, topic: str, record: Encoded, partitions: int
) -> "asyncio.Future[RecordMetadata]":
    """Give a record to the producer. The returned future resolves when every in-sync replica has it."""
    return await producer.send(
        topic,
        value=record.value,
        key=record.key,
        headers=record.headers,
        partition=partition_of(record.key, partitions),
    )


async def ends_of(consumer: Any, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
    """Return where partitions end, without those that do not answer. Raises `KafkaError` if none does.

    Each is asked by itself: in one request, a partition without a leader would leave all unanswered.
    """
    ends: dict[TopicPartition, int] = {}

    async def ask(tp: TopicPartition) -> None:
        try:
            ends.update(await consumer.end_offsets([tp]))
        except (KafkaError, OSError) as error:
            facts = {"topic": tp.topic, "partition": tp.partition, "error": repr(error)}
            log.warning("a partition does not say where it ends", extra=logs.facts(**facts))

    await asyncio.gather(*map(ask, partitions))
    if partitions and not ends:
        raise KafkaTimeoutError("no partition says where it ends")
    return ends


def under_replicated(consumer: Any, topic: str) -> int:
    """Return how many of a topic's partitions lack an in-sync replica, by the consumer's last metadata.

    It is updated every 30 s (`new_consumer`) by any broker that answers.
    """
    partitions = consumer._client.cluster._partitions.get(topic, {})  # noqa: SLF001 - nothing public says it
    return sum(len(one.isr) < len(one.replicas) for one in partitions.values())


async def until_reached(make: Any, what: str) -> Any:
    """Return a started client. While no broker answers, log that and try again: services outlive Kafka."""
    with waiting_for("Kafka") as set_reason:
        while True:
            client = make()
            async with AsyncExitStack() as unless_started:
                unless_started.push_async_callback(client.stop if hasattr(client, "stop") else client.close)
                try:
                    await client.start()
                except (KafkaError, OSError) as error:
                    set_reason(type(error).__name__)
                    report_unreachable(what, error)
                else:
                    unless_started.pop_all()
                    return client
            await asyncio.sleep(RETRY_AFTER_S)


def report_unreachable(client: str, error: Exception, **more: object) -> None:
    """Log that a client does not reach Kafka for now."""
    log.warning("Kafka is not reachable", extra=logs.facts(client=client, error=repr(error), **more))

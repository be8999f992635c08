"""Reads a whole topic, every partition, without a consumer group: no rebalance on the live path.

Records are passed on in batches, in offset order within a partition, to a function that must not raise. A
reader that makes no progress while the log grows is rebuilt and counted: the client library has open bugs of
that kind. A log that ends before our position is another log, and that is fatal.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError, OffsetOutOfRangeError

from runtime import logs, metrics
from runtime.budgets import Budget, request_cost
from runtime.kafka import (
    RETRY_AFTER_S,
    ends_of,
    is_for_good,
    new_consumer,
    partition_of,
    stop_soon,
    under_replicated,
)
from runtime.service import Fatal, Service, is_being_cancelled
from runtime.settings import KafkaSettings
from schemas import topics

log = logging.getLogger(__name__)

OnRecords = Callable[[int, Sequence[ConsumerRecord]], None]
"""Takes a partition and its next records, in offset order."""

POLL_MS: Final = 250
REQUEST_TIMEOUT_MS: Final = 5_000
"""A broker delays a fetch by `POLL_MS` at most: one that is silent for this long is frozen, or cut off from
us. Its partitions soon have another leader, which is asked once the fetch has timed out."""
FETCH_MAX_BYTES: Final = 4_194_304
"""The largest answer, small enough for a slow link within that timeout: otherwise it is fetched again."""
POLL_HANGS_AFTER_S: Final = 60.0
FETCHES_PER_S: Final = 200.0
"""At most so many fetches a second: one costs about as much whatever the number of its records, and faster
records share it. A full one counts twice (`request_cost`)."""
FETCHES_AT_ONCE: Final = 20.0
"""So many may follow each other without a pause: under little load no record waits."""
PROGRESS_CHECK_S: Final = 10.0
MAX_POLL_RECORDS: Final = 5_000
READ_TO_END_POLL_S: Final = 0.01


class Stalled(RuntimeError):
    """The log has grown and the reader has not moved."""


def beginning(first: int, end: int, tail: int | None) -> tuple[int, int]:
    """Return where to begin in a log from ``first`` to ``end``, and from where on clients can be resumed.

    Before each record from there on, half a tail is read, too, or the whole log.
    """
    if tail is None or end - tail <= first:
        return first, first
    return end - tail, end - tail + tail // 2


class LogReader:
    """Follows one topic from its beginning, or from its newest records on.

    ``tail`` is the number of newest records of each partition to begin with; None means all.
    """

    def __init__(
        self, settings: KafkaSettings, topic: str, on_records: OnRecords, *, tail: int | None = None
    ) -> None:
        self._settings = settings
        self._on_records = on_records
        self._tail = tail
        self.topic = topic
        count = topics.ALL[topic].partitions(settings.kafka_partitions)
        self._partitions = [TopicPartition(settings.topic(topic), n) for n in range(count)]
        self._ends_at_start: dict[TopicPartition, int] = {}
        self._fetches = Budget(FETCHES_PER_S, FETCHES_AT_ONCE)
        self._reading: AIOKafkaConsumer | None = None
        """The consumer that is read from; None while it is rebuilt."""
        self.beginnings: dict[int, tuple[int, int]] = {}
        """The `beginning` of each partition: earlier records are not known here."""
        self.positions: dict[int, int] = {}
        """The next offset to read, by partition."""
        self.ends: dict[int, int] = {}
        """Where the log ends, by partition, by the last answers; empty while the brokers are being asked."""
        self._all_answered_at: float | None = None
        """When all partitions last answered where they end. Not loop time: metrics are read without one."""
        self._deaf_since: float | None = None
        """Since when some partitions have not answered while others did."""
        self._failed_at: float | None = None
        """When a consumer failed although brokers answer, if none has lasted since."""
        self._failing_since: float | None = None
        """The same once the next consumer has failed, too: one alone may need longer than others to start."""
        self.caught_up = asyncio.Event()
        """Set once all records that were in the log at the start have been passed on."""

    async def start(self, service: Service) -> None:
        """Follow the topic (see `follow`), and return when this reader has caught up."""
        self.follow(service)
        await self.caught_up.wait()

    def follow(self, service: Service) -> None:
        """Follow the topic in the background. The service is not ready until this reader has caught up."""
        # Not in `run`: a reader that reads once and ends would be shown in place of the one that follows.
        metrics.READER_SILENT.labels(topic=self.topic).set_function(self.silent_s)
        metrics.READER_REBUILDS.labels(topic=self.topic)  # from 0: the first one is a rise
        service.supervise(f"follow {self.topic}", self.run)
        service.health.ready(self.topic, self.ready_fault)

    async def run(self) -> None:
        """Read for ever. Raises `Fatal` if the log is not the one that was read before."""
        while True:
            try:
                await self._read_with_a_new_consumer()
            except OffsetOutOfRangeError as error:
                raise Fatal(
                    f"{self.topic} no longer holds what this reader has yet to read, or it is another log"
                ) from error
            except (KafkaError, OSError, Stalled, TimeoutError, asyncio.CancelledError) as error:
                if is_being_cancelled():
                    raise
                if isinstance(error, Stalled) or is_for_good(error):
                    self._failing_since = self._failed_at
                    self._failed_at = self._failed_at or time.monotonic()
                else:
                    self._failed_at = self._failing_since = None
                metrics.READER_REBUILDS.labels(topic=self.topic).inc()
                log.warning("a reader is rebuilt", extra=logs.facts(topic=self.topic, error=repr(error)))
                await asyncio.sleep(RETRY_AFTER_S)

    async def _read_with_a_new_consumer(self) -> None:
        self.ends, self._deaf_since = {}, None
        consumer = self._consumer()
        try:
            await consumer.start()
            await self._seek(consumer)
            self._reading = consumer
            watching = asyncio.create_task(self._monitor(consumer))
            try:
                await self._read(consumer, watching)
            finally:
                watching.cancel()
                await asyncio.wait({watching})
        finally:
            self._reading = None
            await stop_soon(consumer)

    async def read_to_end(self, key: str) -> None:
        """Return once all that a key's partition holds at this moment has been passed on.

        Raises `KafkaError` or OSError if the log does not say where it ends. Callers bound the time: the
        request waits for the fetch before it, and the reader may have to catch up.
        """
        tp = self._partitions[partition_of(key.encode(), len(self._partitions))]
        try:
            end = (await self._running_consumer().end_offsets([tp]))[tp]
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                raise
            raise KafkaConnectionError from error
        while await self._running_consumer().position(tp) < end:  # noqa: ASYNC110 - the library sets no event
            await asyncio.sleep(READ_TO_END_POLL_S)

    def _running_consumer(self) -> AIOKafkaConsumer:
        if self._reading is None:
            raise KafkaConnectionError("the reader is rebuilt")
        return self._reading

    def ready_fault(self) -> str | None:
        """Return a fault while the reader has not caught up, for a readiness check."""
        return None if self.caught_up.is_set() else f"reading {self.topic}"

    def silent_s(self) -> float:
        """Return for how long not all partitions have answered. They are asked every ten seconds."""
        return _since(self._all_answered_at)

    def deaf_s(self) -> float:
        """Return for how long part of the topic has not been read although Kafka is not away."""
        return max(_since(self._deaf_since), _since(self._failing_since))

    def _consumer(self) -> AIOKafkaConsumer:
        timeout_ms = min(REQUEST_TIMEOUT_MS, self._settings.kafka_request_timeout_ms)
        return new_consumer(
            self._settings,
            fetch_max_wait_ms=POLL_MS,
            fetch_max_bytes=FETCH_MAX_BYTES,
            request_timeout_ms=timeout_ms,
        )

    async def _seek(self, consumer: AIOKafkaConsumer) -> None:
        """Continue at our positions. Only partitions without one are asked: others may have no leader."""
        consumer.assign(self._partitions)
        unknown = [tp for tp in self._partitions if tp.partition not in self.positions]
        first = await consumer.beginning_offsets(unknown)
        end = await consumer.end_offsets(unknown)
        for tp in unknown:
            self.beginnings[tp.partition] = beginning(first[tp], end[tp], self._tail)
            self.positions[tp.partition], _ = self.beginnings[tp.partition]
            self._ends_at_start[tp] = end[tp]
        for tp in self._partitions:
            consumer.seek(tp, self.positions[tp.partition])

    async def _read(self, consumer: AIOKafkaConsumer, watching: "asyncio.Task[None]") -> None:
        loop = asyncio.get_running_loop()
        while True:
            async with asyncio.timeout(POLL_HANGS_AFTER_S):
                batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_POLL_RECORDS)
            for tp, records in batches.items():
                self._on_records(tp.partition, records)
                self.positions[tp.partition] = records[-1].offset + 1
            cost = request_cost(sum(map(len, batches.values())))
            if batches and (debt := self._fetches.spend(loop.time(), cost)) < 0:
                await self._pause_fetching(consumer, -debt / FETCHES_PER_S)
            if not self.caught_up.is_set():
                await self._check_caught_up(consumer)
            if watching.done():
                watching.result()

    async def _pause_fetching(self, consumer: AIOKafkaConsumer, seconds: float) -> None:
        """Pause all partitions for a while. Otherwise the library fetches at once: the answer would wait
        here, and records that are written meanwhile would have to wait for the next fetch."""
        consumer.pause(*self._partitions)
        await asyncio.sleep(seconds)
        consumer.resume(*self._partitions)

    async def _check_caught_up(self, consumer: AIOKafkaConsumer) -> None:
        """Set `caught_up` by the consumer's own positions: they count transaction markers, ours do not."""
        behind = [tp for tp in self._ends_at_start if await consumer.position(tp) < self._ends_at_start[tp]]
        if not behind:
            self.caught_up.set()
            log.info("caught up", extra=logs.facts(topic=self.topic))

    def _went_backwards(self, end: int, position: int) -> bool:
        """Return whether the log ends before our position, as only another log can.

        The in-memory broker counts its last batch as one record: there, such an end proves nothing.
        """
        return self._settings.kafka_durable and end < position

    async def _monitor(self, consumer: AIOKafkaConsumer) -> None:
        """Check the progress, in a task beside the reading: a partition without a leader answers late."""
        last_positions: dict[int, int] = {}
        gauge = metrics.UNDER_REPLICATED.labels(topic=self.topic)
        while True:
            gauge.set(under_replicated(consumer, self._settings.topic(self.topic)))
            await self._check_progress(consumer, last_positions)
            last_positions = dict(self.positions)
            await asyncio.sleep(PROGRESS_CHECK_S)

    async def _check_progress(self, consumer: AIOKafkaConsumer, last_positions: dict[int, int]) -> None:
        last_ends, self.ends, positions_when_asked = self.ends, {}, dict(self.positions)
        ends = await ends_of(consumer, self._partitions)
        self.ends = {tp.partition: end for tp, end in ends.items()}
        now = time.monotonic()
        if len(ends) == len(self._partitions):
            self._all_answered_at, self._deaf_since = now, None
        elif self._deaf_since is None:
            self._deaf_since = now
        unmoved, catching_up = list[str](), False
        for tp in self._partitions:
            if tp not in ends:
                metrics.READER_LAG.remove(self.topic, tp.partition)
                continue
            position, end = await consumer.position(tp), ends[tp]
            metrics.READER_LAG.labels(topic=self.topic, partition=tp.partition).set(max(0, end - position))
            # Records since the last check may still be on their way: only those before it are late.
            if last_ends.get(tp.partition, 0) > position:
                if last_positions.get(tp.partition) == self.positions[tp.partition]:
                    unmoved.append(f"{self.topic}/{tp.partition} stands at {position} of {end}")
                else:
                    catching_up = True
            if self._went_backwards(end, positions_when_asked[tp.partition]):
                raise Fatal(f"{self.topic}/{tp.partition} ends at {end}: it is another log")
        # A fetch is bounded: while others catch up, a partition may wait its turn.
        if unmoved and not catching_up:
            raise Stalled(", ".join(unmoved))
        if last_ends:
            self._failed_at = self._failing_since = None


def _since(moment: float | None) -> float:
    return 0.0 if moment is None else time.monotonic() - moment

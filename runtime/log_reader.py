"""Reads a whole topic, every partition, without a consumer group: no rebalance on the live path.

Records are handed over in batches, in offset order within a partition, to a plain function that must not
fail. A reader that makes no progress while the log grows is rebuilt and counted: the client library has open
bugs of that kind. A log that ends before our position is another log, and that is fatal.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from runtime import logs, metrics
from runtime.budgets import Budget, request_cost
from runtime.kafka import RETRY_AFTER_S, ends_of, new_consumer, stop_soon, under_replicated
from runtime.service import Fatal, Service, is_being_cancelled
from runtime.settings import KafkaSettings
from schemas import topics

log = logging.getLogger(__name__)

OnRecords = Callable[[int, Sequence[ConsumerRecord]], None]
"""Takes a partition and its next records, in offset order."""

POLL_MS: Final = 250
REQUEST_TIMEOUT_MS: Final = 5_000
"""A broker holds a fetch back for `POLL_MS`: one that is silent for so long is frozen, or cut off from us.
Its partitions have another leader soon, which is asked once the fetch is given up."""
FETCH_MAX_BYTES: Final = 4_194_304
"""Also a slow link must bring a whole answer within that timeout: otherwise it is asked for again."""
POLL_HANGS_AFTER_S: Final = 60.0
FETCHES_PER_S: Final = 200.0
"""A fetch costs about as much whatever the number of its records. So there are at most so many a second, and
records that come faster share them. A full one counts twice (`request_cost`)."""
FETCHES_AT_ONCE: Final = 20.0
"""So many may follow each other at once: where little is said nobody waits."""
PROGRESS_CHECK_S: Final = 10.0
MAX_POLL_RECORDS: Final = 5_000


class Stalled(RuntimeError):
    """The log has grown and the reader has not moved."""


def beginning(first: int, end: int, tail: int | None) -> tuple[int, int]:
    """Return where to begin in a log from ``first`` to ``end``, and its `LogReader.resumable_from`."""
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
        self._goal: dict[TopicPartition, int] = {}
        self._fetches = Budget(FETCHES_PER_S, FETCHES_AT_ONCE)
        self.starts: dict[int, int] = {}
        """Where reading began, by partition: nothing before is known here."""
        self.resumable_from: dict[int, int] = {}
        """By partition: before each record from here on, half a tail was read too, or all that there is."""
        self.positions: dict[int, int] = {}
        """The next offset to read, by partition."""
        self.ends: dict[int, int] = {}
        """Where the log ends, by partition, by the last answers; empty while the brokers are asked again."""
        self._whole_at: float | None = None
        """When all partitions last said where they end. Not the loop's time: metrics are read without one."""
        self._deaf_since: float | None = None
        """Since when some partitions have not said so while others did."""
        self.caught_up = asyncio.Event()
        """Set once everything that stood in the log at the start has been handed over."""

    async def start(self, service: Service) -> None:
        """Do what `follow` does; return when what stood in the topic has been handed over."""
        self.follow(service)
        await self.caught_up.wait()

    def follow(self, service: Service) -> None:
        """Follow the topic in the background. The service is not ready until this reader has caught up."""
        # Not in `run`: a reader that reads once and ends would be shown in place of the one that follows.
        metrics.READER_SILENT.labels(topic=self.topic).set_function(self.silent_s)
        service.supervise(f"follow {self.topic}", self.run)
        service.health.ready(self.topic, self.ready_fault)

    async def run(self) -> None:
        """Read for ever. Raises `Fatal` where the log is not the one that was read before."""
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
                metrics.READER_REBUILDS.labels(topic=self.topic).inc()
                log.warning("a reader is rebuilt", extra=logs.facts(topic=self.topic, error=repr(error)))
                await asyncio.sleep(RETRY_AFTER_S)

    async def _read_with_a_new_consumer(self) -> None:
        self.ends, self._deaf_since = {}, None
        consumer = self._consumer()
        try:
            await consumer.start()
            await self._seek(consumer)
            watching = asyncio.create_task(self._watch(consumer))
            try:
                await self._read(consumer, watching)
            finally:
                watching.cancel()
                await asyncio.wait({watching})
        finally:
            await stop_soon(consumer)

    def ready_fault(self) -> str | None:
        """Say whether the reader has yet to catch up, for a readiness check."""
        return None if self.caught_up.is_set() else f"reading {self.topic}"

    def silent_s(self) -> float:
        """Return for how long not all of the topic has answered. All of it is asked every ten seconds."""
        return _since(self._whole_at)

    def deaf_s(self) -> float:
        """Return for how long some partitions have not answered while others did: Kafka is not away."""
        return _since(self._deaf_since)

    def _consumer(self) -> AIOKafkaConsumer:
        timeout_ms = min(REQUEST_TIMEOUT_MS, self._settings.kafka_request_timeout_ms)
        return new_consumer(
            self._settings,
            fetch_max_wait_ms=POLL_MS,
            fetch_max_bytes=FETCH_MAX_BYTES,
            request_timeout_ms=timeout_ms,
        )

    async def _seek(self, consumer: AIOKafkaConsumer) -> None:
        """Go on where we were. The log is asked only where we never were: a partition may have no leader."""
        consumer.assign(self._partitions)
        unknown = [tp for tp in self._partitions if tp.partition not in self.positions]
        first = await consumer.beginning_offsets(unknown)
        end = await consumer.end_offsets(unknown)
        for tp in unknown:
            position, resumable_from = beginning(first[tp], end[tp], self._tail)
            self.starts[tp.partition] = self.positions[tp.partition] = position
            self.resumable_from[tp.partition] = resumable_from
            self._goal[tp] = end[tp]
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
                await self._rest(consumer, -debt / FETCHES_PER_S)
            if not self.caught_up.is_set():
                await self._see_whether_caught_up(consumer)
            if watching.done():
                watching.result()

    async def _rest(self, consumer: AIOKafkaConsumer, seconds: float) -> None:
        """Fetch nothing for a while. By itself the library fetches at once: the answer would lie here until
        then, and records that are written meanwhile would have to wait for the next one."""
        consumer.pause(*self._partitions)
        await asyncio.sleep(seconds)
        consumer.resume(*self._partitions)

    async def _see_whether_caught_up(self, consumer: AIOKafkaConsumer) -> None:
        """Transaction markers take offsets too: the consumer's own position counts them, ours does not."""
        behind = [tp for tp in self._goal if await consumer.position(tp) < self._goal[tp]]
        if not behind:
            self.caught_up.set()
            log.info("caught up", extra=logs.facts(topic=self.topic))

    def _went_backwards(self, end: int, position: int) -> bool:
        """Say whether the log ends before what was read of it, as only another log can.

        The in-memory broker counts its last batch as one record: there, such an end proves nothing.
        """
        return self._settings.kafka_durable and end < position

    async def _watch(self, consumer: AIOKafkaConsumer) -> None:
        """Look whether we move, beside the reading: a partition without a leader answers late."""
        checked: dict[int, int] = {}
        lacking = metrics.UNDER_REPLICATED.labels(topic=self.topic)
        while True:
            lacking.set(under_replicated(consumer, self._settings.topic(self.topic)))
            await self._check_progress(consumer, checked)
            checked = dict(self.positions)
            await asyncio.sleep(PROGRESS_CHECK_S)

    async def _check_progress(self, consumer: AIOKafkaConsumer, before: dict[int, int]) -> None:
        ended, self.ends, asked_at = self.ends, {}, dict(self.positions)
        ends = await ends_of(consumer, self._partitions)
        self.ends = {tp.partition: end for tp, end in ends.items()}
        now = time.monotonic()
        if len(ends) == len(self._partitions):
            self._whole_at, self._deaf_since = now, None
        elif self._deaf_since is None:
            self._deaf_since = now
        stand, reads_what_is_old = list[str](), False
        for tp in self._partitions:
            if tp not in ends:
                metrics.READER_LAG.remove(self.topic, tp.partition)
                continue
            position, end = await consumer.position(tp), ends[tp]
            metrics.READER_LAG.labels(topic=self.topic, partition=tp.partition).set(max(0, end - position))
            # What came since the last look may still be on its way: only what stood there then is late.
            if ended.get(tp.partition, 0) > position:
                if before.get(tp.partition) == self.positions[tp.partition]:
                    stand.append(f"{self.topic}/{tp.partition} stands at {position} of {end}")
                else:
                    reads_what_is_old = True
            if self._went_backwards(end, asked_at[tp.partition]):
                raise Fatal(f"{self.topic}/{tp.partition} ends at {end}: it is another log")
        # A fetch holds only so much: where much is old, a partition may wait its turn behind others.
        if stand and not reads_what_is_old:
            raise Stalled(", ".join(stand))


def _since(moment: float | None) -> float:
    return 0.0 if moment is None else time.monotonic() - moment

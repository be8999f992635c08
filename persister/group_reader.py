"""Consume: one membership in the consumer group, with its start positions, polls and commits.

A reader that failed is replaced by a new one. By default the client library skips records that are too large,
resets offsets silently and leaves the group for good when it is not polled: all three are prevented here.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from persister.batch import Ends
from persister.positions import Position, start_position
from persister.read_records import TOPICS
from persister.settings import PersisterSettings
from runtime import logs, metrics
from runtime.kafka import ends_of, new_consumer, stop_soon
from runtime.log_reader import POLL_MS, Stalled
from runtime.service import Fatal, is_being_cancelled
from schemas.topics import of_any_generation

log = logging.getLogger(__name__)

START_HANGS_AFTER_S: Final = 60.0
POLL_HANGS_AFTER_S: Final = 60.0
CHECK_EVERY_S: Final = 1.0
COMMIT_HANGS_AFTER_S: Final = 30.0
FETCH_MAX_BYTES: Final = 8_388_608
"""Maximum size of a fetch, which is read ahead of the batches."""
FAILED_COMMITS: Final = 5
"""So many failed commits in a row mean that the group does not know this member any more."""

# While the store is away nothing is polled. The library would then leave the group and might never rejoin:
# this is switched off. Heartbeats run in the background all the same.
NEVER_MS: Final = 2**31 - 1


class Polled(NamedTuple):
    """Records by partition, and the epoch in which they were read."""

    epoch: int
    records: Mapping[TopicPartition, Sequence[ConsumerRecord]]


class GroupReader(ConsumerRebalanceListener):  # type: ignore[misc]
    """Reads the partitions that the group assigns to this process, each from where it was committed."""

    def __init__(self, settings: PersisterSettings, on_revoked: Callable[[int], None]) -> None:
        self._settings = settings
        self._on_revoked = on_revoked
        self._consumer: Any = None
        self._positioned = asyncio.Event()
        self._broken: BaseException | None = None
        self._failed_commits = 0
        self._read_progress: Callable[[], Awaitable[Ends]]
        self.epoch = 0
        """Grows at each rebalance: what is not committed by then is read again by the new owners."""
        self.starts: Ends = {}
        """By assigned partition: where reading began."""
        self.empty_polls = 0
        """How many polls returned nothing."""

    async def start(self, read_progress: Callable[[], Awaitable[Ends]]) -> None:
        """Join the group, once the progress can be read. Raises `KafkaError`, `OSError` or `TimeoutError`."""
        self._consumer = self._new_consumer()
        async with asyncio.timeout(START_HANGS_AFTER_S):
            await self._consumer.start()
        self._read_progress = read_progress
        names = [self._settings.topic(name) for name in TOPICS]
        if self._settings.kafka_durable:
            await read_progress()
            self._consumer.subscribe(names, listener=self)
        else:
            # Without a group: the broker in memory never reassigns a dead member's partitions.
            every = [
                TopicPartition(name, n) for name in names for n in range(self._settings.kafka_partitions)
            ]
            self._consumer.assign(every)
            await self.on_partitions_assigned(every)

    async def stop(self) -> None:
        """Leave the group, so that others take over at once."""
        self._positioned.clear()
        # A consumer that does not stop in time may be told of a rebalance when another reader has begun.
        self._on_revoked = lambda _epoch: None
        if self._consumer is None:
            return
        try:
            await stop_soon(self._consumer)
        except (KafkaError, OSError, asyncio.CancelledError) as error:
            if is_being_cancelled():
                raise
            log.warning("the consumer group could not be left", extra=logs.facts(error=repr(error)))

    def fault(self) -> str | None:
        """Return a fault while no partitions are assigned, for a readiness check."""
        return None if self._positioned.is_set() else "not in the consumer group"

    async def poll(self, max_records: int) -> Polled:
        """Return the next records, at most ``max_records``; none if none come for a while.

        Raises `KafkaError`, `TimeoutError`, or `Fatal` if the log is not the one that was committed.
        """
        async with asyncio.timeout(POLL_HANGS_AFTER_S):
            await self._wait_until_positioned()
            if self._broken is not None:
                raise self._broken
            records = await self._next_records(max_records)
        self.empty_polls += not records
        return Polled(self.epoch, records)

    async def _wait_until_positioned(self) -> None:
        """Wait until partitions are assigned and their start positions are set.

        The library raises a final error (wrong credentials, say) only inside getmany(), which then blocks. So
        the coordinator is checked here every second.
        """
        while not self._positioned.is_set():
            self._consumer._coordinator.check_errors()  # noqa: SLF001 - nothing else asks and goes on
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_EVERY_S):
                    await self._positioned.wait()

    async def _next_records(self, max_records: int) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Return what getmany() returns; nothing while `_seek_to_starts` has not finished."""
        try:
            records: dict[TopicPartition, list[ConsumerRecord]] = await self._consumer.getmany(
                timeout_ms=POLL_MS, max_records=max_records
            )
        except (NoOffsetForPartitionError, OffsetOutOfRangeError):
            if self._positioned.is_set():
                raise
            return {}
        return records if self._positioned.is_set() else {}

    async def commit(self, ends: Ends) -> None:
        """Commit offsets of written records. If a rebalance makes it fail, they are read and written again.

        Raises `KafkaError`, `TimeoutError`, or `Stalled` after `FAILED_COMMITS` in a row.
        """
        assigned = self._consumer.assignment()
        offsets = {tp: end for tp, end in ends.items() if tp in assigned}
        if not offsets:
            return  # A rebalance revoked all of them, and an empty commit is an error in the library.
        try:
            async with asyncio.timeout(COMMIT_HANGS_AFTER_S):
                await self._consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError) as error:
            self._failed_commits += 1
            log.info("a rebalance came before a commit", extra=logs.facts(failures=self._failed_commits))
            if self._failed_commits >= FAILED_COMMITS:
                raise Stalled("the group accepts no commit from this member") from error
        else:
            self._failed_commits = 0

    async def offsets(self) -> dict[TopicPartition, tuple[int, int]]:
        """Return position and end of each assigned partition whose end is known; none during a rebalance."""
        try:
            ends = await ends_of(self._consumer, tuple(self.starts))
            return {tp: (await self._consumer.position(tp), end) for tp, end in ends.items()}
        except IllegalStateError:
            return {}

    def _new_consumer(self) -> Any:
        settings = self._settings
        return new_consumer(
            settings,
            group_id=settings.persister_group,
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.session_timeout_ms // 4,
            max_poll_interval_ms=NEVER_MS,
            fetch_max_wait_ms=POLL_MS,
            fetch_max_bytes=FETCH_MAX_BYTES,
        )

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002 - it is all
        """Handle a rebalance: all partitions are revoked."""
        self.epoch += 1
        self.starts = {}
        self._positioned.clear()
        self._on_revoked(self.epoch)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Set start positions. Errors are raised by `poll`: the library would swallow them here."""
        try:
            await self._seek_to_starts(list(assigned))
        except (KafkaError, OSError, TimeoutError, Fatal) as error:
            self._broken = error
        self._positioned.set()

    async def _seek_to_starts(self, partitions: list[TopicPartition]) -> None:
        """Seek each partition to its start. Heartbeats wait for this: it must be shorter than the session.

        The progress is read anew each time: who had a partition last may have written into another store.
        """
        async with asyncio.timeout(self._settings.session_timeout_ms / 1000 / 2):
            committed = await self._committed(partitions)
            if self._settings.kafka_durable:
                # After the commits: a running persister raises both, and read later these would be ahead.
                # Before the log's ends: progress beyond them would be another log's.
                stored = await self._read_progress()
            else:
                # All that was committed counts as stored.
                stored = {tp: offset or 0 for tp, offset in committed.items()}
            first = await self._consumer.beginning_offsets(partitions)
            end = await self._consumer.end_offsets(partitions)
            if not self._settings.kafka_durable:
                # The broker in memory counts a batch as one record when it returns the end.
                end = {tp: max(end[tp], committed[tp] or 0) for tp in partitions}
            for tp in partitions:
                position = start_position(
                    f"{tp.topic}/{tp.partition}",
                    committed=committed[tp],
                    stored=stored.get(tp, 0),
                    first=first[tp],
                    end=end[tp],
                )
                _report_loss(tp, position)
                self._consumer.seek(tp, position.offset)
                self.starts[tp] = position.offset
            await self._commit_back([tp for tp in partitions if stored.get(tp, 0) < (committed[tp] or 0)])
        log.info("partitions were assigned", extra=logs.facts(partitions=len(partitions), epoch=self.epoch))

    async def _commit_back(self, lacking: list[TopicPartition]) -> None:
        """Commit lower offsets where the store lacks records, for the partition's next owner, too."""
        if lacking:
            log.warning(
                "the store lacks what was committed; the log is read again",
                extra=logs.facts(partitions=len(lacking)),
            )
            await self._consumer.commit({tp: self.starts[tp] for tp in lacking})

    async def _committed(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int | None]:
        found = await asyncio.gather(*(self._consumer.committed(tp) for tp in partitions))
        return dict(zip(partitions, found, strict=True))


def _report_loss(tp: TopicPartition, position: Position) -> None:
    if position.lost:
        metrics.NEVER_STORED.labels(topic=of_any_generation(tp.topic)).inc(position.lost)
        log.error(
            "the log dropped records before they were stored",
            extra=logs.facts(
                topic=tp.topic,
                partition=tp.partition,
                records=position.lost,
                first_offset=position.offset - position.lost,
                last_offset=position.offset - 1,
            ),
        )

"""Double buffering between reading and writing: one batch fills while the one before it is written.

This bounds memory: while the store is away the batch fills up, and reading waits.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from aiokafka import ConsumerRecord, TopicPartition

from persister.batch import Batch, Ends, Limits
from persister.read_records import Poison, read
from runtime import metrics
from schemas.topics import of_any_generation


class Handover:
    """Holds the open batch. One task adds to it, one task takes it."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._not_empty = asyncio.Event()
        self._full = asyncio.Event()
        self._not_full = asyncio.Event()
        self._last_bad: Ends = {}
        """Each partition's newest bad record, so that it is counted once, however often it is read again."""
        self.open = Batch(limits, 0)
        self._not_full.set()

    def open_next(self, epoch: int) -> None:
        """Replace the open batch by an empty one."""
        self.open = Batch(self._limits, epoch)
        self._full.clear()
        self._not_full.set()

    async def wait_while_full(self) -> int:
        """Wait while the batch is full; return how many records may be added."""
        await self._not_full.wait()
        return self.open.free

    async def add(self, epoch: int, partition: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        """Add a partition's next records, read in ``epoch``, waiting while the batch is full.

        Records of an earlier epoch are dropped: committing their offsets would also commit the records before
        them, which were dropped unwritten.
        """
        now = self._clock()
        for record in records:
            if self.open.full:
                await self._not_full.wait()
                now = self._clock()
            if self.open.epoch != epoch:
                return
            result = read(record)
            if isinstance(result, Poison) and record.offset > self._last_bad.get(partition, -1):
                self._last_bad[partition] = record.offset
                metrics.BAD_RECORDS.labels(topic=of_any_generation(partition.topic)).inc()
            self.open.add(partition, result, now)
            if self.open.full:
                self._not_full.clear()
                self._full.set()
                self._not_empty.set()
        if self.open.records:
            self._not_empty.set()

    async def take(self) -> Batch:
        """Return the open batch once it is full or due, after opening the next one."""
        while True:
            batch = self.open
            wait_s = batch.due_at - self._clock()
            if not batch.records:
                # Checked again afterwards: a rebalance may empty the batch before this task runs.
                self._not_empty.clear()
                await self._not_empty.wait()
            elif batch.full or wait_s <= 0:
                self.open_next(batch.epoch)
                return batch
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._full.wait()

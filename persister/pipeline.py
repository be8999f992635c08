"""The steps in their order: consume, read, batch, write, progress, commit.

The commit is the last step, so each record is stored or a dead letter at least once. Writing it twice changes
nothing, so it is in the store exactly once. A crash at any point repeats work and loses nothing.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from aiokafka.errors import KafkaError

from persister.batch import Batch, Ends, Limits
from persister.batch_writer import BatchWriter
from persister.group_reader import GroupReader
from persister.handover import Handover
from persister.outage import NoLongerOursError, Outage
from persister.progress import StoreWentBackError, Uncommitted, read_progress, write_progress
from persister.settings import PersisterSettings
from persister.stalls import Sample, Stalls
from runtime import logs, metrics
from runtime.kafka import RETRY_AFTER_S
from runtime.log_reader import Stalled
from runtime.mongo import Store
from runtime.service import Fatal, is_being_cancelled
from schemas import documents
from schemas.topics import of_any_generation

log = logging.getLogger(__name__)

READER_NAME: Final = "persister"
FLUSH_AFTER_BYTES: Final = 1_048_576
"""A batch of this size is written, even if it has fewer records than the settings ask for."""
FETCH_EVERY_S: Final = 0.05
"""Pause between two fetches while few records come; many are read as fast as they are stored."""
WATCH_EVERY_S: Final = 2.0
CUT_OFF_AFTER_S: Final = 5 * WATCH_EVERY_S
"""A persister that is so long outside the group, or without the ends of its partitions, counts as behind:
there may be records that it does not see."""

NewReader = Callable[[PersisterSettings, Callable[[int], None]], GroupReader]
"""Makes a group reader, from the settings and a callback for revoked partitions."""


class Pipeline:
    """Runs each step in a task of its own. If one fails, all restart from the last commit."""

    def __init__(
        self,
        settings: PersisterSettings,
        store: Store,
        writer: BatchWriter,
        outage: Outage,
        clock: Callable[[], float] = time.monotonic,
        new_reader: NewReader = GroupReader,
    ) -> None:
        self._settings = settings
        self._store = store
        self._writer = writer
        self._outage = outage
        limits = Limits(settings.flush_after_records, FLUSH_AFTER_BYTES, settings.flush_after_ms / 1000)
        self._clock = clock
        self._last_contact_at = clock()
        self._handover = Handover(limits, clock)
        self._uncommitted = Uncommitted()
        self._writing: Batch | None = None
        self._stored: Ends = {}
        self._progress: Ends = {}
        """What the store had as progress when it was read or written last."""
        self._interrupted_by: str | None = None
        self._new_reader = new_reader
        self._reader = new_reader(settings, self._drop)
        metrics.UNSTORED_AGE_SECONDS.set_function(self._unstored_age_s)
        metrics.READER_REBUILDS.labels(topic=READER_NAME)  # from 0: the first one is a rise

    def fault(self) -> str | None:
        """Return a fault while this process is not in the group, with its cause, for a readiness check."""
        fault = self._reader.fault()
        return f"{fault}: {self._interrupted_by}" if fault and self._interrupted_by else fault

    async def run(self) -> None:
        """Store what the log holds, for ever. Raises `Fatal` if it is not the same log as before."""
        while True:
            self._reader = self._new_reader(self._settings, self._drop)
            self._drop(self._reader.epoch)
            self._progress = {}
            try:
                await self._reader.start(self._read_progress)
                await asyncio.create_task(self._run_steps())
            except (KafkaError, OSError, Stalled, StoreWentBackError, TimeoutError) as error:
                self._interrupted_by = repr(error)
                metrics.READER_REBUILDS.labels(topic=READER_NAME).inc()
                log.warning("the reader is rebuilt", extra=logs.facts(error=repr(error)))
            finally:
                await self._reader.stop()
            await asyncio.sleep(RETRY_AFTER_S)

    async def _run_steps(self) -> None:
        """Run in a task of its own, see `is_being_cancelled`."""
        try:
            async with asyncio.TaskGroup() as steps:
                index = partial(create_indexes, self._store, Outage())
                for step in (index, self._read, self._write, self._commit, self._watch):
                    steps.create_task(_uncancelled(step))
        except BaseExceptionGroup as group:
            fatal = (cause for cause in group.exceptions if isinstance(cause, Fatal))
            raise next(fatal, group.exceptions[0]) from group

    async def _read_progress(self) -> Ends:
        found = await self._outage.retry("reading progress", partial(read_progress, self._store))
        self._progress = dict(found)
        return found

    async def _read(self) -> None:
        """Consume, read and batch. While the batch is full nothing is fetched.

        A fetch costs about the same for few records and for many: after few, the next one waits.

        Offsets before a partition's start are stored already or no longer in the log. They are added to the
        progress at once: a quiet partition may bring no record that would do it.
        """
        noted_epoch = None
        while True:
            free = await self._handover.wait_while_full()
            epoch, polled = await self._reader.poll(free)
            self._interrupted_by = None
            if epoch != noted_epoch and (starts := {tp: n for tp, n in self._reader.starts.items() if n}):
                noted_epoch = epoch
                self._uncommitted.add(starts)
            for tp, records in polled.items():
                await self._handover.add(epoch, tp, records)
            if polled and sum(map(len, polled.values())) < free:
                await asyncio.sleep(FETCH_EVERY_S)

    async def _write(self) -> None:
        """Write batch after batch: within a partition and for each key, in the log's order."""
        while True:
            batch = self._writing = await self._handover.take()
            try:
                await self._writer.write(batch, wanted=partial(self._is_ours, batch))
            except NoLongerOursError:
                log.info("a batch now belongs to another persister", extra=logs.facts(records=batch.records))
                continue
            finally:
                self._writing = None
            if self._is_ours(batch):
                self._uncommitted.add(batch.ends)
                self._stored.update(batch.ends)

    async def _commit(self) -> None:
        """Write the progress to the store, then commit the offsets, while the next batch is written."""
        while True:
            ends, known = await self._uncommitted.take(), self._progress
            await self._outage.retry("progress", partial(write_progress, self._store, ends, known))
            known.update(ends)
            await self._reader.commit(ends)

    async def _watch(self) -> None:
        """Export the lag. Raise `Stalled` if the reader has stopped: the library has bugs of that kind."""
        stalls = Stalls()
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            # A broker that does not answer takes as long as a request may.
            async with asyncio.timeout(2 * self._settings.kafka_request_timeout_ms / 1000):
                offsets = await self._reader.offsets()
            if self.fault() is None and len(offsets) == len(self._reader.starts):
                self._last_contact_at = self._clock()
            self._export_lag({tp: end for tp, (_, end) in offsets.items()})
            if found := stalls.check(Sample(offsets, self._reader.empty_polls)):
                raise Stalled(", ".join(f"{tp.topic}/{tp.partition}" for tp in found))

    def _export_lag(self, ends: Ends) -> None:
        metrics.STORE_LAG.clear()
        for tp, end in ends.items():
            stored = self._stored.get(tp, self._reader.starts.get(tp, end))
            lag = metrics.STORE_LAG.labels(topic=of_any_generation(tp.topic), partition=tp.partition)
            lag.set(max(0, end - stored))

    def _unstored_age_s(self) -> float:
        waiting = [batch for batch in (self._writing, self._handover.open) if batch and batch.records]
        ages = (time.time() - batch.oldest_ms / 1000 for batch in waiting)
        cut_off_s = self._clock() - self._last_contact_at
        return max([self._outage.age_s(), *ages, cut_off_s if cut_off_s > CUT_OFF_AFTER_S else 0.0])

    def _is_ours(self, batch: Batch) -> bool:
        return batch.epoch == self._reader.epoch

    def _drop(self, epoch: int) -> None:
        """Drop what is not committed: after a rebalance the partitions' new owners read it again."""
        self._handover.open_next(epoch)
        self._uncommitted.drop()
        self._stored = {}


async def create_indexes(store: Store, outage: Outage) -> None:
    """Create the indexes, beside all else: building one may take hours, and nothing here needs them.

    It is done each time the steps begin: a store that was emptied has lost them. While one is being built,
    each call fails after its time: it has its own ``outage``, because what is read does not wait for it.
    """
    for collection, indexes in documents.INDEXES.items():
        for keys in indexes:
            await outage.retry("indexes", partial(store.create_index, collection, keys))


async def _uncancelled(step: Callable[[], Awaitable[None]]) -> None:
    """Run a step. Raise `Stalled` if a library leaks a cancellation: the task group would ignore it."""
    try:
        await step()
    except asyncio.CancelledError as error:
        if is_being_cancelled():
            raise
        raise Stalled("a step was cancelled by nobody") from error

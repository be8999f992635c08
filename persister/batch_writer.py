"""Write: when `write` returns, each record of a batch is in the store or a dead letter.

Writing a batch again changes nothing. A document that the store refuses for its content is set aside. If the
store itself may be at fault, the write is retried, as while the store is away.
"""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from itertools import islice, starmap
from typing import TypeVar

from aiokafka import ConsumerRecord

from persister.batch import Batch
from persister.dead_letters import DeadLetters
from persister.outage import Outage
from persister.read_records import Fold, NewMessage, Poison
from runtime import logs, metrics
from runtime.mongo import Change, Rejected, Store, StoreUnavailable
from schemas import documents, topics

log = logging.getLogger(__name__)

K = TypeVar("K", str, tuple[str, str, str])
T = TypeVar("T", NewMessage, Fold)

Processed = Callable[[list[ConsumerRecord], int], None]
"""Takes the records of a stored batch and the write's start (Unix time in ns): traced ones get a span."""


class BatchWriter:
    """Writes batches, one after the other."""

    def __init__(
        self, store: Store, dead_letters: DeadLetters, outage: Outage, processed: Processed | None = None
    ) -> None:
        self._store = store
        self._dead_letters = dead_letters
        self._outage = outage
        self._processed = processed

    async def write(self, batch: Batch, wanted: Callable[[], bool]) -> None:
        """Store a batch, for as long as that takes.

        Raises `NoLongerOursError` if a write has failed and is no longer ``wanted``, and `KafkaError` if dead
        letters cannot be written.
        """
        writing = _BatchWrite(self._store, batch)
        since_ns = time.time_ns()
        started = time.perf_counter()
        await self._outage.retry("batch", writing.run, wanted=wanted)
        metrics.WRITE_SECONDS.observe(time.perf_counter() - started)
        if batch.poison:
            await self._dead_letters.write(batch.poison)
        _count(batch, writing.already_stored)
        if self._processed is not None:
            self._processed([message.source for message in batch.messages.values()], since_ns)
            self._processed([fold.source for fold in batch.folds.values()], since_ns)
        if log.isEnabledFor(logging.DEBUG):
            _log_messages(batch)


class _BatchWrite:
    """All attempts to write one batch: what one attempt has written, the next one leaves out."""

    def __init__(self, store: Store, batch: Batch) -> None:
        self._store = store
        self._batch = batch
        self._messages = dict(batch.messages)
        self._folds: defaultdict[str, dict[tuple[str, str, str], Fold]] = defaultdict(dict)
        for key, fold in batch.folds.items():
            self._folds[fold.collection][key] = fold
        self._max_documents = batch.records
        """Documents per write."""
        self._attempts = 0
        self.already_stored = 0

    async def run(self) -> None:
        """Write what the batch holds. Raises `StoreUnavailable`: the same call may work later."""
        await self._write_all(self._messages, self._insert)
        for collection, folds in self._folds.items():
            await self._write_all(folds, partial(self._apply, collection))

    async def _write_all(
        self, unwritten: dict[K, T], write: Callable[[Mapping[K, T]], Awaitable[None]]
    ) -> None:
        """Write all documents; those that the store refuses are set aside.

        A failure halves the number per write: a slow store may never finish a whole batch in time. Each
        success adds a quarter, so that few writes fail and the size recovers soon after an outage.
        """
        while unwritten:
            piece = dict(islice(unwritten.items(), self._max_documents))
            done: Collection[K] = piece
            try:
                await write(piece)
            except Rejected as refusal:
                done = refused = _poison_of(piece, refusal)
                self._batch.set_aside(refused)
            except StoreUnavailable:
                self._max_documents = max(1, len(piece) // 2)
                raise
            else:
                self._max_documents += self._max_documents // 4 + 1
            for key in done:
                del unwritten[key]

    async def _insert(self, messages: Mapping[str, NewMessage]) -> None:
        self._attempts += 1
        try:
            new = [message.document for message in messages.values()]
            self._count_already_stored(await self._store.insert_new(documents.MESSAGES, new))
        except Rejected as refusal:
            self._count_already_stored(refusal.known)
            raise

    def _count_already_stored(self, known: int) -> None:
        """Count at the first attempt only: later ones also find what earlier ones have stored."""
        if self._attempts == 1:
            self.already_stored = known

    async def _apply(self, collection: str, folds: Mapping[tuple[str, str, str], Fold]) -> None:
        await self._store.apply_newer(collection, [change_of(fold) for fold in folds.values()])


def change_of(fold: Fold) -> Change:
    """Return the change that a fold makes.

    A tombstone removes the fields and keeps the document, which no query finds then. If it were deleted, an
    older record that is written late would bring it back. A departure makes no document: who has none is
    shown as offline, and may have been erased while they were connected.
    """
    if fold.values is None:
        update: documents.Document = {"$unset": {"group": "", "up": ""}}
    else:
        update = {"$set": dict(fold.values)}
    only = (
        None
        if fold.left is None
        else {"$or": [_last_online_from(None), *starmap(_last_online_from, fold.left)]}
    )
    return Change(fold.key, fold.guard, fold.source.offset, update, only, upsert=fold.left is None)


def _last_online_from(edge: str | None, process: str | None = None) -> documents.Document:
    """Return the query for users last reported online by this edge's process. None: not known."""
    of_edge = {documents.ONLINE_EDGE: {"$in": [edge]}}
    return of_edge if process is None else {**of_edge, documents.ONLINE_PROCESS: {"$in": [process, None]}}


def _poison_of(written: Mapping[K, NewMessage | Fold], refusal: Rejected) -> dict[K, Poison]:
    keys = list(written)
    return {
        keys[n]: Poison(written[keys[n]].source, f"refused by the store: {reason}")
        for n, reason in refusal.reasons.items()
    }


def _log_messages(batch: Batch) -> None:
    for key, message in batch.messages.items():
        log.debug("a message is stored", extra=logs.facts(message=key, seq=message.document["seq"]))


def _count(batch: Batch, already_stored: int) -> None:
    metrics.BATCH_RECORDS.observe(batch.records)
    metrics.ALREADY_STORED.inc(already_stored + batch.repeated)
    # Some of those that the store had at the first try may have been set aside since.
    metrics.STORED.labels(topic=topics.MESSAGES).inc(max(0, len(batch.messages) - already_stored))
    for topic, count in Counter(
        topics.of_any_generation(fold.source.topic) for fold in batch.folds.values()
    ).items():
        metrics.STORED.labels(topic=topic).inc(count)

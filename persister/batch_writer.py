"""Write: everything of a batch is in the store, or among the dead letters, when `write` returns.

Writing a batch again changes nothing. A document that the store refuses for what is in it is set aside; where
the store itself may be at fault, the batch waits as it does while the store is away.
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
"""Takes the records that a batch has stored, and since when (Unix time in ns): those traced get a span."""


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

        Raises `NoLongerOursError` once a write has failed and is no longer ``wanted``, and `KafkaError` where
        dead letters can't be written.
        """
        writing = _Writing(self._store, batch)
        since_ns = time.time_ns()
        started = time.perf_counter()
        await self._outage.outlast("batch", writing.run, wanted=wanted)
        metrics.WRITE_SECONDS.observe(time.perf_counter() - started)
        if batch.poison:
            await self._dead_letters.write(batch.poison)
        _count(batch, writing.already_stored)
        if self._processed is not None:
            self._processed([message.source for message in batch.messages.values()], since_ns)
            self._processed([fold.source for fold in batch.folds.values()], since_ns)
        if log.isEnabledFor(logging.DEBUG):
            _log_messages(batch)


class _Writing:
    """One batch, over all tries to write it: what one try has written, the next one leaves out."""

    def __init__(self, store: Store, batch: Batch) -> None:
        self._store = store
        self._batch = batch
        self._messages = dict(batch.messages)
        self._folds: defaultdict[str, dict[tuple[str, str, str], Fold]] = defaultdict(dict)
        for key, fold in batch.folds.items():
            self._folds[fold.collection][key] = fold
        self._most = max(1, batch.records)
        """How many documents go in one write."""
        self._tries = 0
        self.already_stored = 0

    async def run(self) -> None:
        """Write what the batch holds. Raises `StoreUnavailable`: the same call may work later."""
        await self._until_taken(self._messages, self._insert)
        for collection, folds in self._folds.items():
            await self._until_taken(folds, partial(self._apply, collection))

    async def _until_taken(
        self, waiting: dict[K, T], write: Callable[[Mapping[K, T]], Awaitable[None]]
    ) -> None:
        """Write all that waits; what the store refuses is set aside.

        After a failure half as much goes in one write: a store that is slow may never end the whole in time.
        After each that went well it is a quarter more, so that few fail and an outage is soon forgotten.
        """
        while waiting:
            piece = dict(islice(waiting.items(), self._most))
            done: Collection[K] = piece
            try:
                await write(piece)
            except Rejected as refusal:
                done = refused = _refused(piece, refusal)
                self._batch.set_aside(refused)
            except StoreUnavailable:
                self._most = max(1, len(piece) // 2)
                raise
            else:
                self._most += self._most // 4 + 1
            for key in done:
                del waiting[key]

    async def _insert(self, messages: Mapping[str, NewMessage]) -> None:
        self._tries += 1
        try:
            new = [message.document for message in messages.values()]
            self._note_known(await self._store.insert_new(documents.MESSAGES, new))
        except Rejected as refusal:
            self._note_known(refusal.known)
            raise

    def _note_known(self, known: int) -> None:
        """Only the first try tells what the store had: a later one finds what an earlier one has stored."""
        if self._tries == 1:
            self.already_stored = known

    async def _apply(self, collection: str, folds: Mapping[tuple[str, str, str], Fold]) -> None:
        await self._store.apply_newer(collection, [change_of(fold) for fold in folds.values()])


def change_of(fold: Fold) -> Change:
    """Return the change that a fold makes.

    A tombstone leaves a document without its fields, which no query finds: deleted outright, it could not
    tell an older record that is written late that it comes too late.
    """
    if fold.values is None:
        update: documents.Document = {"$unset": {"group": "", "up": ""}}
    else:
        update = {"$set": dict(fold.values)}
    only = None if fold.left is None else {"$or": [_said_by(None), *starmap(_said_by, fold.left)]}
    return Change(fold.key, fold.guard, fold.source.offset, update, only)


def _said_by(edge: str | None, process: str | None = None) -> documents.Document:
    """Return the query for users whom this process last called online; None is one that is not known."""
    of_edge = {documents.ONLINE_EDGE: {"$in": [edge]}}
    return of_edge if process is None else {**of_edge, documents.ONLINE_PROCESS: {"$in": [process, None]}}


def _refused(taken: Mapping[K, NewMessage | Fold], refusal: Rejected) -> dict[K, Poison]:
    keys = list(taken)
    return {
        keys[n]: Poison(taken[keys[n]].source, f"refused by the store: {reason}")
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

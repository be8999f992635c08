"""Progress: up to which offset each partition is stored. It is written to the store, before the commit.

From it the gateway tells clients up to which seq history is complete. It never goes back.
"""

import asyncio
import time
from typing import Final

from aiokafka import TopicPartition

from persister.batch import Ends
from runtime.mongo import Store
from schemas import documents

STORED_WITHIN_S: Final = 60.0
"""How long an operators' command waits for the persisters."""
POLL_S: Final = 0.1


class StoreWentBackError(RuntimeError):
    """The store has less than it had: it was emptied or restored, and lacks messages, too."""


class Uncommitted:
    """Ends of written batches that are not committed yet; later ones replace earlier ones."""

    def __init__(self) -> None:
        self._ends: Ends = {}
        self._not_empty = asyncio.Event()

    def add(self, ends: Ends) -> None:
        """Add the ends of a batch."""
        self._ends.update(ends)
        self._not_empty.set()

    def drop(self) -> None:
        """Drop all ends: the partitions may belong to another persister now."""
        self._ends = {}

    async def take(self) -> Ends:
        """Wait for ends, and return and remove all."""
        while not self._ends:
            # Checked again afterwards: a rebalance may drop them before this task runs.
            self._not_empty.clear()
            await self._not_empty.wait()
        ends, self._ends = self._ends, {}
        return ends


async def write_progress(store: Store, ends: Ends, known: Ends) -> None:
    """Raise the progress to ``ends``, never lower it. ``known`` is what this process knows to be there.

    Raises `StoreUnavailable`, and `StoreWentBackError` if the store has less than what is known: raising it
    all the same would hide what the store lacks.
    """
    at_least = {_key_of(tp): {"next": {"$gte": known[tp]}} for tp in ends if tp in known}
    if not await store.upsert(documents.PROGRESS, _updates("$max", ends), at_least):
        raise StoreWentBackError("the store lacks what it had: it was emptied or restored")


async def begin_progress(store: Store, ends: Ends) -> None:
    """Set the progress of new topics, also lower than that of a deleted topic of the same name."""
    await store.upsert(documents.PROGRESS, _updates("$set", ends))


def _updates(operator: str, ends: Ends) -> list[tuple[str, documents.Document]]:
    return [(_key_of(tp), {operator: {"next": end}}) for tp, end in ends.items()]


async def read_progress(store: Store) -> Ends:
    """Return the progress of all partitions. Raises `StoreUnavailable`."""
    found = await store.find(documents.PROGRESS, {})
    return {_partition_of(document["_id"]): document["next"] for document in found}


async def wait_until_stored(store: Store, ends: Ends) -> None:
    """Wait until all before ``ends`` is stored. Raises TimeoutError, and `StoreUnavailable`."""
    give_up_at = time.monotonic() + STORED_WITHIN_S
    while missing := not_stored(ends, await read_progress(store)):
        if time.monotonic() >= give_up_at:
            raise TimeoutError(f"{missing} records are not stored yet: does a persister run?")
        await asyncio.sleep(POLL_S)


def not_stored(ends: Ends, stored: Ends) -> int:
    """Return how many offsets before ``ends`` the store has not reached."""
    return sum(max(0, end - stored.get(tp, 0)) for tp, end in ends.items())


def _key_of(tp: TopicPartition) -> str:
    return documents.progress_key(tp.topic, tp.partition)


def _partition_of(key: str) -> TopicPartition:
    topic, _, partition = key.rpartition("/")
    return TopicPartition(topic, int(partition))

"""Progress, then the commit: how far each partition is stored, told first to the store, then to the group.

The gateway tells clients from it up to which seq history is whole. It never goes back.
"""

import asyncio
import time
from typing import Final

from aiokafka import TopicPartition

from persister.batch import Ends
from runtime.mongo import Store
from schemas import documents

STORED_WITHIN_S: Final = 60.0
"""So long an operators' command waits for the persisters."""
LOOK_AGAIN_S: Final = 0.1


class Uncommitted:
    """Ends of batches that are written and not committed yet; later ones replace earlier ones."""

    def __init__(self) -> None:
        self._ends: Ends = {}
        self._some = asyncio.Event()

    def note(self, ends: Ends) -> None:
        """Add what a batch ends at."""
        self._ends.update(ends)
        self._some.set()

    def drop(self) -> None:
        """Forget what is noted: the partitions may be another's by now."""
        self._ends = {}

    async def take(self) -> Ends:
        """Return all that is noted, once there is something."""
        while not self._ends:
            # Asked again afterwards: a rebalance may drop it before this task has its turn.
            self._some.clear()
            await self._some.wait()
        ends, self._ends = self._ends, {}
        return ends


async def write_progress(store: Store, ends: Ends) -> None:
    """Tell the store how far it has got. Raises `StoreUnavailable`."""
    await _write(store, "$max", ends)


async def begin_progress(store: Store, ends: Ends) -> None:
    """Tell the store of new topics. An earlier topic of the same name may have reached more: it is gone."""
    await _write(store, "$set", ends)


async def _write(store: Store, how: str, ends: Ends) -> None:
    updates = [
        (documents.progress_key(tp.topic, tp.partition), {how: {"next": end}}) for tp, end in ends.items()
    ]
    await store.upsert(documents.PROGRESS, updates)


async def read_progress(store: Store) -> Ends:
    """Return how far the store has got. Raises `StoreUnavailable`."""
    found = await store.find(documents.PROGRESS, {})
    return {_partition_of(document["_id"]): document["next"] for document in found}


async def until_stored(store: Store, ends: Ends) -> None:
    """Wait until the store has got as far as ``ends``. Raises TimeoutError, and `StoreUnavailable`."""
    give_up_at = time.monotonic() + STORED_WITHIN_S
    while missing := not_stored(ends, await read_progress(store)):
        if time.monotonic() >= give_up_at:
            raise TimeoutError(f"{missing} records are not stored yet: does a persister run?")
        await asyncio.sleep(LOOK_AGAIN_S)


def not_stored(ends: Ends, stored: Ends) -> int:
    """Return how many offsets before ``ends`` the store has not reached."""
    return sum(max(0, end - stored.get(tp, 0)) for tp, end in ends.items())


def _partition_of(key: str) -> TopicPartition:
    topic, _, partition = key.rpartition("/")
    return TopicPartition(topic, int(partition))

"""Up to where MongoDB holds the log, by the persister's own word, and waiting until it holds a write.

One poller serves all who wait, and asks only while somebody does.
"""

import asyncio
from asyncio import Future
from collections.abc import Collection, Sequence
from typing import Final

from api_gateway.log_writer import Place
from api_gateway.settings import GatewaySettings
from api_gateway.store_reads import StoreReads
from runtime import metrics
from schemas.documents import PROGRESS, progress_key
from schemas.refusals import HISTORY_UNAVAILABLE, Refused

FRESH_S: Final = 0.1
"""Progress that was read is reused for so long: a store that was emptied or restored meanwhile counts as if
it still had that."""

POLL_S: Final = 0.02
"""Between two looks at what is stored, while a write waits."""


class StoredProgress:
    """The persister's progress, by partition."""

    def __init__(self, reads: StoreReads, settings: GatewaySettings) -> None:
        self._reads = reads
        self._topic = settings.topic
        self._wait_s = settings.wait_stored_ms / 1000
        self._max_waiting = settings.max_waiting_writes
        self._next: dict[str, int] = {}
        self._read_at: dict[str, float] = {}
        self._waiting: dict[Future[bool], dict[str, int]] = {}
        self._somebody_waits = asyncio.Event()
        self._stopping = False

    async def up_to(self, topic: str, partitions: Collection[int]) -> dict[int, int]:
        """Return the newest stored offset of each partition; -1 where nothing is stored.

        Ask for it before you read messages: then history never lacks what this has promised.
        """
        keys = {partition: progress_key(self._topic(topic), partition) for partition in partitions}
        old = asyncio.get_running_loop().time() - FRESH_S
        stale = [key for key in keys.values() if self._read_at.get(key, -1.0) < old]
        if stale:
            await self._read(stale)
        return {partition: self._next[key] - 1 for partition, key in keys.items()}

    async def wait(self, written: Sequence[Place]) -> bool:
        """Return whether MongoDB holds these records, as soon as it does or the bound of time is over.

        False at once where the store is away, too many wait already, or the service stops: the records are
        durable anyway.
        """
        stored = await self._wait(written)
        metrics.WRITES_ANSWERED.labels(stored="yes" if stored else "no").inc()
        return stored

    async def run(self) -> None:
        """Look for those who wait, for ever."""
        while True:
            await self._somebody_waits.wait()
            await self._look()
            await asyncio.sleep(POLL_S)

    def wait_no_more(self) -> None:
        """Let nobody wait from now on, and tell those who do that it is not known yet."""
        self._stopping = True
        self._answer(list(self._waiting), stored=False)

    async def _wait(self, written: Sequence[Place]) -> bool:
        if self._stopping or any(one.offset < 0 for one in written):
            return False
        if len(self._waiting) >= self._max_waiting:
            return False
        done: Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[done] = needs_of(written)
        self._somebody_waits.set()
        try:
            async with asyncio.timeout(self._wait_s):
                return await done
        except TimeoutError:
            return False
        finally:
            del self._waiting[done]
            if not self._waiting:
                self._somebody_waits.clear()

    async def _look(self) -> None:
        try:
            await self._read({key for needs in self._waiting.values() for key in needs})
        except Refused as error:
            if error.refusal is HISTORY_UNAVAILABLE:
                self._answer(list(self._waiting), stored=False)
        else:
            self._answer([done for done, needs in self._waiting.items() if self._has(needs)])

    async def _read(self, keys: Collection[str]) -> None:
        now = asyncio.get_running_loop().time()
        found = await self._reads.find(PROGRESS, {"_id": {"$in": sorted(keys)}})
        # Never the larger of old and new: a store that was restored has less, and says so.
        self._next.update(dict.fromkeys(keys, 0) | {one["_id"]: one["next"] for one in found})
        self._read_at.update(dict.fromkeys(keys, now))

    def _has(self, needs: dict[str, int]) -> bool:
        return all(self._next.get(key, 0) >= upto for key, upto in needs.items())

    @staticmethod
    def _answer(waiting: Sequence[Future[bool]], *, stored: bool = True) -> None:
        for done in waiting:
            if not done.done():
                done.set_result(stored)


def needs_of(written: Sequence[Place]) -> dict[str, int]:
    """Return, by partition's key, the ``next`` that means that all of these records are stored."""
    needs: dict[str, int] = {}
    for one in written:
        key = progress_key(one.kafka_topic, one.partition)
        needs[key] = max(needs.get(key, 0), one.offset + 1)
    return needs

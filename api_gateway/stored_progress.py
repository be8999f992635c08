"""Reads up to which offset MongoDB holds the log (the persister's progress), and waits for writes.

One poller serves all waiting writes, and polls only while there are any.
"""

import asyncio
from asyncio import Future
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from api_gateway.log_writer import WrittenRecord
from api_gateway.settings import GatewaySettings
from api_gateway.store_reads import StoreReads
from runtime import metrics
from schemas.documents import PROGRESS, progress_key
from schemas.refusals import HISTORY_UNAVAILABLE, Refused

FRESH_S: Final = 0.1
"""How long progress is reused. That a store was emptied or restored is noticed only after that."""

POLL_S: Final = 0.02
"""Interval of polling, while a write waits."""


class StoredProgress:
    """The persister's progress, by partition."""

    def __init__(self, reads: StoreReads, settings: GatewaySettings) -> None:
        self._reads = reads
        self._topic = settings.topic
        self._wait_s = settings.wait_stored_ms / 1000
        self._max_waiting = settings.max_waiting_writes
        self._next_offsets: dict[str, int] = {}
        self._read_at: dict[str, float] = {}
        self._waiting: dict[Future[bool], dict[str, int]] = {}
        self._somebody_waits = asyncio.Event()
        self._stopping = False

    async def up_to(self, topic: str, partitions: Collection[int]) -> dict[int, int]:
        """Return the newest stored offset of each partition; -1 if nothing is stored.

        Call it before reading messages: then history has everything up to these offsets.
        """
        keys = {partition: progress_key(self._topic(topic), partition) for partition in partitions}
        stale_before = asyncio.get_running_loop().time() - FRESH_S
        stale = [key for key in keys.values() if self._read_at.get(key, -1.0) < stale_before]
        if stale:
            await self._read(stale)
        return {partition: self._next_offsets[key] - 1 for partition, key in keys.items()}

    async def wait(self, written: Sequence[WrittenRecord]) -> bool:
        """Wait until MongoDB holds these records, for a bounded time, and return whether it does.

        False at once if the store is away, too many writes wait already, or the service stops: the records
        are durable anyway.
        """
        stored = await self._wait(written)
        metrics.WRITES_ANSWERED.labels(stored="yes" if stored else "no").inc()
        return stored

    async def run(self) -> None:
        """Poll while writes wait, for ever."""
        while True:
            await self._somebody_waits.wait()
            await self._poll()
            await asyncio.sleep(POLL_S)

    def stop_waiting(self) -> None:
        """End all waiting, now and later: `wait` returns False."""
        self._stopping = True
        self._resolve(self._waiting, stored=False)

    async def _wait(self, written: Sequence[WrittenRecord]) -> bool:
        if self._stopping or any(record.offset < 0 for record in written):
            return False
        if len(self._waiting) >= self._max_waiting:
            return False
        answer: Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[answer] = needs_of(written)
        self._somebody_waits.set()
        try:
            async with asyncio.timeout(self._wait_s):
                return await answer
        except TimeoutError:
            return False
        finally:
            del self._waiting[answer]
            if not self._waiting:
                self._somebody_waits.clear()

    async def _poll(self) -> None:
        try:
            await self._read({key for needs in self._waiting.values() for key in needs})
        except Refused as error:
            if error.refusal is HISTORY_UNAVAILABLE:
                self._resolve(self._waiting, stored=False)
        else:
            self._resolve(answer for answer, needs in self._waiting.items() if self._are_stored(needs))

    async def _read(self, keys: Collection[str]) -> None:
        now = asyncio.get_running_loop().time()
        found = await self._reads.find(PROGRESS, {"_id": {"$in": sorted(keys)}})
        # Not the maximum of old and new: a store that was restored holds less.
        self._next_offsets.update(
            dict.fromkeys(keys, 0) | {document["_id"]: document["next"] for document in found}
        )
        self._read_at.update(dict.fromkeys(keys, now))

    def _are_stored(self, needs: dict[str, int]) -> bool:
        return all(self._next_offsets.get(key, 0) >= next_offset for key, next_offset in needs.items())

    @staticmethod
    def _resolve(waiting: Iterable[Future[bool]], *, stored: bool = True) -> None:
        for answer in waiting:
            if not answer.done():
                answer.set_result(stored)


def needs_of(written: Sequence[WrittenRecord]) -> dict[str, int]:
    """Return, by partition's key, the ``next`` from which on all of these records are stored."""
    needs: dict[str, int] = {}
    for record in written:
        key = progress_key(record.kafka_topic, record.partition)
        needs[key] = max(needs.get(key, 0), record.offset + 1)
    return needs

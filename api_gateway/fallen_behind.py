"""Detects that this gateway no longer follows the log of members, although the persister does.

It compares its own positions with the persister's progress in the store. If the store is ahead and the
reader here stands still, a removed member could go on reading. While nobody reaches Kafka, the store makes no
progress either, and this gateway is not at fault.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from api_gateway.stored_progress import StoredProgress
from runtime import logs, metrics
from schemas.refusals import Refused

log = logging.getLogger(__name__)

COMPARE_EVERY_S: Final = 2.0
BEHIND_AFTER_S: Final = 10.0
"""Rebuilding a reader, or waiting for a new leader of a partition, takes less."""

Partition = tuple[str, int]


class StalledPartitions:
    """Since when each partition's position has not moved although the store holds more. Pure."""

    def __init__(self) -> None:
        self._since: dict[tuple[Partition, int], float] = {}

    def compare(
        self, now: float, stored: Mapping[Partition, int], positions: Mapping[Partition, int]
    ) -> None:
        """Compare the newest stored offsets with ``positions``, the next ones to be read here."""
        behind = {(partition, at) for partition, at in positions.items() if stored.get(partition, -1) >= at}
        self._since = {stuck: self._since.get(stuck, now) for stuck in behind}

    def longest_s(self, now: float) -> float:
        """Return the longest time, in seconds, that a partition has stood still; 0 if none does."""
        return now - min(self._since.values(), default=now)


class FallenBehind:
    """Compares the positions of this gateway with the progress of the store, every `COMPARE_EVERY_S`."""

    def __init__(self, progress: StoredProgress, positions: Mapping[str, Mapping[int, int]]) -> None:
        self._progress = progress
        self._positions = positions
        """The next offset to read, by topic and partition."""
        self._stalled = StalledPartitions()
        self._is_behind = False

    def fault(self) -> str | None:
        """Return for how long this gateway has been behind, if that is too long."""
        behind_s = self._stalled.longest_s(time.monotonic())
        return f"behind the store for {behind_s:.0f} s" if behind_s >= BEHIND_AFTER_S else None

    async def run(self) -> None:
        """Compare, for ever. While the store is away its last progress is used: it makes none meanwhile."""
        stored: dict[Partition, int] = {}
        while True:
            await asyncio.sleep(COMPARE_EVERY_S)
            with suppress(Refused):
                stored = await self._stored()
            # Positions are taken after the progress: what was read here meanwhile counts.
            self._compare(stored)

    async def _stored(self) -> dict[Partition, int]:
        return {
            (topic, partition): offset
            for topic, read in self._positions.items()
            for partition, offset in (await self._progress.up_to(topic, list(read))).items()
        }

    def _compare(self, stored: Mapping[Partition, int]) -> None:
        read = self._positions.items()
        positions = {(topic, partition): at for topic, ats in read for partition, at in ats.items()}
        now = time.monotonic()
        self._stalled.compare(now, stored, positions)
        metrics.BEHIND_STORE_SECONDS.set(self._stalled.longest_s(now))
        was_behind, fault = self._is_behind, self.fault()
        self._is_behind = fault is not None
        if fault and not was_behind:
            log.error(
                "this gateway has fallen behind the log, and others have not", extra=logs.facts(fault=fault)
            )
        elif was_behind and not fault:
            log.info("this gateway follows the log again")

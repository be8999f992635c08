"""Whether this gateway has fallen behind the store: then others follow the log of members, and it does not.

The persister tells the store how far it has read. Where that is further than this gateway has come, and its
reader stands still, a member who was removed could go on reading here. While nobody reaches Kafka the store
gets no further either, and nothing is wrong with this gateway in particular.
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

LOOK_EVERY_S: Final = 2.0
BEHIND_AFTER_S: Final = 10.0
"""A reader that is rebuilt, or waits for a new leader of a partition, is there again before that."""

Partition = tuple[str, int]


class StandingStill:
    """By partition: since when our position has not moved although the store holds more. Pure."""

    def __init__(self) -> None:
        self._since: dict[tuple[Partition, int], float] = {}

    def look(self, now: float, stored: Mapping[Partition, int], positions: Mapping[Partition, int]) -> None:
        """Compare the newest stored offsets with ``positions``, the next ones to be read here."""
        behind = {(one, at) for one, at in positions.items() if stored.get(one, -1) >= at}
        self._since = {one: self._since.get(one, now) for one in behind}

    def for_s(self, now: float) -> float:
        """Return the longest time, in seconds, that a partition has stood still; 0 where none does."""
        return now - min(self._since.values(), default=now)


class FallenBehind:
    """Compares what is read here with what is stored, every other second."""

    def __init__(self, progress: StoredProgress, positions: Mapping[str, Mapping[int, int]]) -> None:
        self._progress = progress
        self._positions = positions
        """The next offset to read, by topic and partition."""
        self._still = StandingStill()
        self._is_behind = False

    def fault(self) -> str | None:
        """Say for how long this gateway has been behind, where that is too long."""
        behind_s = self._still.for_s(time.monotonic())
        return f"behind the store for {behind_s:.0f} s" if behind_s >= BEHIND_AFTER_S else None

    async def run(self) -> None:
        """Look, for ever. Where the store is away, what it said last holds: it gets no further meanwhile."""
        stored: dict[Partition, int] = {}
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            with suppress(Refused):
                stored = await self._stored()
            # What is read meanwhile counts: the store was asked before.
            self._look(stored)

    async def _stored(self) -> dict[Partition, int]:
        return {
            (topic, partition): offset
            for topic, read in self._positions.items()
            for partition, offset in (await self._progress.up_to(topic, list(read))).items()
        }

    def _look(self, stored: Mapping[Partition, int]) -> None:
        read = self._positions.items()
        positions = {(topic, partition): at for topic, ats in read for partition, at in ats.items()}
        now = time.monotonic()
        self._still.look(now, stored, positions)
        metrics.BEHIND_STORE_SECONDS.set(self._still.for_s(now))
        fault = self.fault()
        if (fault is None) == self._is_behind:
            self._is_behind = fault is not None
            if fault:
                log.error(
                    "this gateway has fallen behind the log, and others have not",
                    extra=logs.facts(fault=fault),
                )
            else:
                log.info("this gateway follows the log again")

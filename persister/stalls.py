"""Detects partitions that are no longer read although they have records. Pure.

A partition may merely wait behind others. So a sample in which it has not moved counts only if a poll came
back empty since the previous sample: then nothing was waiting.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from aiokafka import TopicPartition

STALLED_AFTER: Final = 5
"""So many samples in a row in which a partition has records and does not move are a stall."""


class Sample(NamedTuple):
    """Each partition's position and end at one moment, and the count of empty polls."""

    offsets: Mapping[TopicPartition, tuple[int, int]]
    empty_polls: int


class Stalls:
    """Counts suspicious samples."""

    def __init__(self) -> None:
        self._previous = Sample({}, 0)
        self._suspicious: dict[TopicPartition, int] = {}

    def check(self, sample: Sample) -> list[TopicPartition]:
        """Add a sample, and return the partitions that have stalled."""
        nothing_waited = sample.empty_polls > self._previous.empty_polls
        for tp, (position, end) in sample.offsets.items():
            if position >= end or self._previous.offsets.get(tp, (None, 0))[0] != position:
                self._suspicious.pop(tp, None)
            elif nothing_waited:
                self._suspicious[tp] = self._suspicious.get(tp, 0) + 1
        self._suspicious = {tp: n for tp, n in self._suspicious.items() if tp in sample.offsets}
        self._previous = sample
        return [tp for tp, samples in self._suspicious.items() if samples >= STALLED_AFTER]

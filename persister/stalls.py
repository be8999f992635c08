"""Stalls: whether reading has stopped although there is something to read. Pure.

A partition may merely wait its turn behind others. So a look at one that has not moved counts only where a
poll came back empty since the look before: then nobody waited for a turn.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from aiokafka import TopicPartition

LOOKS: Final = 5
"""So many looks in a row at a partition that has more and gives nothing are a stall."""


class Look(NamedTuple):
    """What was seen at one moment: each partition's position and end, and the count of empty polls."""

    offsets: Mapping[TopicPartition, tuple[int, int]]
    empty_polls: int


class Stalls:
    """Counts suspicious looks."""

    def __init__(self) -> None:
        self._before = Look({}, 0)
        self._suspicious: dict[TopicPartition, int] = {}

    def see(self, now: Look) -> list[TopicPartition]:
        """Return the partitions that have stalled."""
        nothing_to_hand_over = now.empty_polls > self._before.empty_polls
        for tp, (position, end) in now.offsets.items():
            if position >= end or self._before.offsets.get(tp, (None, 0))[0] != position:
                self._suspicious.pop(tp, None)
            elif nothing_to_hand_over:
                self._suspicious[tp] = self._suspicious.get(tp, 0) + 1
        self._suspicious = {tp: n for tp, n in self._suspicious.items() if tp in now.offsets}
        self._before = now
        return [tp for tp, looks in self._suspicious.items() if looks >= LOOKS]

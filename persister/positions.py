"""Decides at which offset reading a partition starts. Pure. Records that are skipped are counted."""

from collections.abc import Mapping
from typing import NamedTuple

from aiokafka import TopicPartition

from persister.batch import Ends
from runtime.service import Fatal


class Position(NamedTuple):
    """The offset to read next, and how many records the log dropped before they were stored."""

    offset: int
    lost: int


def lacking(committed: Mapping[TopicPartition, int | None], stored: Ends) -> Ends:
    """Return the partitions of which the store has less than was committed, with their progress.

    Progress is written before the commit, so such a store was emptied, restored or replaced. Read
    ``committed`` first: a running persister raises both, and read later it would be ahead of ``stored``.
    """
    return {
        tp: stored.get(tp, 0)
        for tp, offset in committed.items()
        if offset is not None and stored.get(tp, 0) < offset
    }


def start_position(
    partition: str, *, committed: int | None, stored: int, lacks_after: int | None, first: int, end: int
) -> Position:
    """Return the start position in a log that holds the offsets ``first`` to ``end - 1``.

    ``stored`` is the progress in the store; ``lacks_after`` is where to go back to if the store lacks what
    was committed. Raises `Fatal` if the log ends before an offset that was reached: then it is another log,
    and every ``seq`` in the store would name another message.
    """
    reached = max(committed or 0, stored)
    if reached > end:
        raise Fatal(f"{partition} ends at {end}, before {reached} which was reached: it is another log")
    wanted = committed if lacks_after is None else lacks_after
    if wanted is None:
        # Kafka drops the commits of a group without members after days, or somebody has deleted the group.
        wanted = stored or first
    # An administrator may have moved the commit back: what is stored is not lost.
    return Position(max(wanted, first), max(0, first - max(wanted, stored)))

"""Where reading a partition begins. Pure: asks nobody, and never begins elsewhere in silence."""

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
    """Return the partitions of which the store has less than was committed, and how far it has them.

    Progress is written before the commit: such a store was emptied, restored or replaced. Ask for
    ``committed`` first: a persister at work moves both, and asked later it would be ahead of ``stored``.
    """
    return {
        tp: stored.get(tp, 0)
        for tp, offset in committed.items()
        if offset is not None and stored.get(tp, 0) < offset
    }


def start_position(
    partition: str, *, committed: int | None, stored: int, lacks_after: int | None, first: int, end: int
) -> Position:
    """Return where to go on in a log that holds the offsets ``first`` to ``end - 1``.

    ``stored`` is what the store has reached, ``lacks_after`` is where to go back to when it lacks what was
    committed. Raises `Fatal` where the log ends before what was reached: it is another log, and every ``seq``
    in the store would mean another message.
    """
    reached = max(committed or 0, stored)
    if reached > end:
        raise Fatal(f"{partition} ends at {end}, before {reached} which was reached: it is another log")
    wanted = committed if lacks_after is None else lacks_after
    if wanted is None:
        # A group without members forgets its commits after days: just when the log may have dropped records.
        return Position(first, max(0, first - stored) if stored else 0)
    return Position(max(wanted, first), max(0, first - wanted))

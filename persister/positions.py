"""Decides at which offset reading a partition starts. Pure. Records that are skipped are counted."""

from typing import NamedTuple

from runtime.service import Fatal


class Position(NamedTuple):
    """The offset to read next, and how many records the log dropped before they were stored."""

    offset: int
    lost: int


def start_position(partition: str, *, committed: int | None, stored: int, first: int, end: int) -> Position:
    """Return the start position in a log that holds the offsets ``first`` to ``end - 1``.

    ``stored`` is the progress in the store. It is written before the commit: a store that has less was
    emptied, restored or replaced, and what it lacks is read again. Raises `Fatal` if the log ends before what
    was reached: then it is another log, and every ``seq`` in the store would name another message.
    """
    reached = max(committed or 0, stored)
    if reached > end:
        raise Fatal(f"{partition} ends at {end}, before {reached} which was reached: it is another log")
    # Kafka drops the commits of a group without members after days, or somebody has deleted the group.
    wanted = (stored or first) if committed is None else min(committed, stored)
    # An administrator may have moved the commit back: what is stored is not lost.
    return Position(max(wanted, first), max(0, first - max(wanted, stored)))

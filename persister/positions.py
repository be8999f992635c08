"""Where reading a partition begins. Pure: asks nobody, and never begins elsewhere in silence."""

from typing import NamedTuple

from runtime.service import Fatal


class Position(NamedTuple):
    """The offset to read next, and how many records the log dropped before they were stored."""

    offset: int
    lost: int


def start_position(partition: str, *, committed: int | None, first: int, end: int) -> Position:
    """Return where to go on in a log that holds the offsets ``first`` to ``end - 1``.

    Raises `Fatal` where the log ends before what was committed: it is another log, and every ``seq`` in the
    store would mean another message.
    """
    if committed is None:
        return Position(first, 0)
    if committed > end:
        raise Fatal(f"{partition} ends at {end}, before {committed} which was stored: it is another log")
    return Position(max(committed, first), max(0, first - committed))

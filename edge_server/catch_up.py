"""Decides what the joiner of a room has missed, and from where on it gets live messages. Pure.

``since`` is the client's cursor: the last seq that it has seen. The client either gets everything after that,
in order, then the live messages, or is told that there is a hole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge_server.recent_log import Entry, RecentLog

MAX_AHEAD: Final = 100_000
"""Records of one partition by which another edge may be ahead of this one."""


@dataclass(frozen=True, slots=True)
class CatchUp:
    """The outcome of a join."""

    head: int
    """The newest seq of the room's partition that had its turn here."""
    recovered: bool
    missed: Sequence[Entry] = ()
    after_seq: int | None = None
    """Set if the client is ahead of this edge: it gets only messages after this seq."""
    scanned_in_vain: float = 0.0
    """Bytes of frames that were scanned before it was clear that they are too many to be sent."""

    @property
    def bytes(self) -> int:
        """The size of the missed messages, as frames."""
        return sum(len(entry.frame or b"") for entry in self.missed)


def catch_up(
    window: RecentLog, group: str, partition: int, *, head: int, since: int | None, most_bytes: float
) -> CatchUp:
    """Return how to join. A cursor beyond ``head`` comes from an edge that has read further than this one.

    A cursor more than `MAX_AHEAD` beyond it comes from another log: that is a hole. It is one, too, if the
    missed frames have more than ``most_bytes``: no client could read them as fast as they would be written.
    """
    if since is None:
        return CatchUp(head=head, recovered=True)
    if since > head + MAX_AHEAD:
        return CatchUp(head=head, recovered=False)
    if since > head:
        return CatchUp(head=head, recovered=True, after_seq=since)
    if not window.reaches(partition, since):
        return CatchUp(head=head, recovered=False)
    missed = window.after(group, since, most_bytes=most_bytes)
    if missed is None:
        return CatchUp(head=head, recovered=False, scanned_in_vain=most_bytes)
    return CatchUp(head=head, recovered=True, missed=missed)

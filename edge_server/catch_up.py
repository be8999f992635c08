"""What the joiner of a room has missed, and from where on it gets live messages. Pure.

``since`` is the last seq that the client has seen. Either it gets everything after that, in order, then the
live messages, or it is told that there is a hole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge_server.recent_log import Entry, RecentLog

MAX_AHEAD: Final = 100_000
"""Records of one partition by which another edge may be ahead of this one."""


@dataclass(frozen=True, slots=True)
class CatchUp:
    """How a client joins a room."""

    head: int
    """The newest seq of the room's partition that had its turn here."""
    recovered: bool
    missed: Sequence[Entry] = ()
    after_seq: int | None = None
    """Set where the client is ahead of this edge: it gets only what comes after this."""
    bytes_in_vain: float = 0.0
    """Bytes of frames that were looked through before it was clear that they are too many to be sent."""

    @property
    def bytes(self) -> int:
        """What is missed, as frames."""
        return sum(len(entry.frame or b"") for entry in self.missed)


def catch_up(
    window: RecentLog, group: str, partition: int, *, head: int, since: int | None, most_bytes: float
) -> CatchUp:
    """Decide how to join. A cursor beyond ``head`` was earned on an edge that has read further than this one.

    A cursor too far beyond it can't have been earned in this log: that is a hole too. So is what has
    more than ``most_bytes`` as frames: nobody could read it as fast as it would be written.
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
        return CatchUp(head=head, recovered=False, bytes_in_vain=most_bytes)
    return CatchUp(head=head, recovered=True, missed=missed)

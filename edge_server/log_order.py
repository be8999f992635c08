"""Merges acks of our own records and consumed records into one order, the log's. Pure.

One `LogOrder` a partition. An acked record gets its turn at once if every earlier offset has had its turn;
otherwise it waits until the consumer has closed the gap. No record has two turns.
"""

from collections.abc import Sequence

from edge_server.recent_log import Entry


class LogOrder:
    """The order of one partition. ``next_seq`` is the next offset that gets its turn."""

    __slots__ = ("_early", "lost", "next_seq")

    def __init__(self, next_seq: int) -> None:
        self.next_seq = next_seq
        self._early: dict[int, Entry] = {}
        """Acked records that wait until the gap before them is closed, by offset."""
        self.lost: list[Entry] = []
        """Acked records that the log does not have: brokers lost them. The caller empties this list."""

    def acked(self, entry: Entry) -> Sequence[Entry]:
        """Add an acked record of ours; return the records whose turn has come, in order."""
        seq = entry.seq
        if seq < self.next_seq:
            return ()
        if seq == self.next_seq and not self._early:
            self.next_seq = seq + 1
            return (entry,)
        self._early[seq] = entry
        return self._pop_ready()

    def consumed(self, entry: Entry) -> Sequence[Entry]:
        """Add the next consumed record; return the records whose turn has come, in order.

        Offsets that the consumer skips (transaction markers, compacted records) hold no record.
        """
        seq = entry.seq
        if seq < self.next_seq:
            return ()
        if not self._early:
            self.next_seq = seq + 1
            return (entry,)
        if seq > self.next_seq:
            self._drop_before(seq)
        early = self._early.pop(seq, entry)
        if early.key == entry.key:
            entry = early
        else:
            self.lost.append(early)
        self.next_seq = seq + 1
        return [entry, *self._pop_ready()]

    def _pop_ready(self) -> list[Entry]:
        ready = []
        while self.next_seq in self._early:
            ready.append(self._early.pop(self.next_seq))
            self.next_seq += 1
        return ready

    def _drop_before(self, seq: int) -> None:
        for early in [offset for offset in self._early if offset < seq]:
            self.lost.append(self._early.pop(early))

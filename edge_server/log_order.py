"""Whose turn it is: acks of our own records and consumed records become one order, the log's.

Pure. One `LogOrder` a partition. An acked record is given its turn at once when everything before it has had
its turn; otherwise it waits until consuming has closed the gap. A record never has two turns.
"""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar


class Keyed(Protocol):
    """What has its turn: a record, whose key names its message."""

    @property
    def key(self) -> bytes:
        """Return what makes the message unique."""


Item = TypeVar("Item", bound=Keyed)


class LogOrder(Generic[Item]):
    """The order of one partition, from ``next_seq`` on."""

    __slots__ = ("_early", "lost", "next_seq")

    def __init__(self, next_seq: int) -> None:
        self.next_seq = next_seq
        self._early: dict[int, Item] = {}
        """Acked records that wait for the gap before them to close."""
        self.lost: list[Item] = []
        """Acked records that the log then did not have, until somebody takes them. A broker has lost data."""

    def acked(self, seq: int, item: Item) -> Sequence[Item]:
        """Take a record of ours that the brokers have stored; return the records whose turn it is."""
        if seq < self.next_seq:
            return ()
        if seq == self.next_seq and not self._early:
            self.next_seq = seq + 1
            return (item,)
        self._early[seq] = item
        return self._in_turn()

    def consumed(self, seq: int, item: Item) -> Sequence[Item]:
        """Take the log's next record; return the records whose turn it is.

        Consuming is the truth: offsets that it leaves out (markers, compacted records) have no record.
        """
        if seq < self.next_seq:
            return ()
        if not self._early:
            self.next_seq = seq + 1
            return (item,)
        if seq > self.next_seq:
            self._drop_before(seq)
        early = self._early.pop(seq, item)
        if early.key == item.key:
            item = early
        else:
            self.lost.append(early)
        self.next_seq = seq + 1
        return [item, *self._in_turn()]

    def _in_turn(self) -> list[Item]:
        ready = []
        while self.next_seq in self._early:
            ready.append(self._early.pop(self.next_seq))
            self.next_seq += 1
        return ready

    def _drop_before(self, seq: int) -> None:
        for early in [known for known in self._early if known < seq]:
            self.lost.append(self._early.pop(early))

"""The window: the newest records of the log, bounded in bytes and records. Pure.

It answers what a client has missed after a seq, and whether a record is a retry of a message that is in the
log already. Clients read older messages over REST, as history.
"""

from collections import defaultdict, deque
from typing import Final

from edge_server.frames import message_frame
from schemas.documents import message_key
from schemas.log_records import BadRecord, MessageSent

ENTRY_OVERHEAD_BYTES: Final = 450
"""What an entry costs beside its bytes, measured as resident memory of a full window."""

GROUP_OVERHEAD_BYTES: Final = 1_000
"""What a group costs beside its entries: with one entry each, groups take more memory than their entries."""


class Entry:
    """One message of the log, as small as it can be: windows hold hundreds of thousands.

    It begins with the record's value, or with its frame if that is known. The frame is made when it is first
    needed, and replaces the value.
    """

    __slots__ = ("_frame", "_value", "bad", "group", "key", "partition", "seq", "size", "timestamp")

    def __init__(
        self,
        group: str,
        key: bytes,
        partition: int,
        seq: int,
        timestamp: int,
        *,
        value: bytes | None = None,
        frame: bytes | None = None,
        bad: str | None = None,
    ) -> None:
        self.group = group
        self.key = key
        """The message's ``_id`` in the store: group, sender and id. The key of a retry is the same."""
        self.partition = partition
        self.seq = seq
        self.timestamp = timestamp
        self.bad = bad
        """Why the record can't be read, once that is known."""
        self.size = ENTRY_OVERHEAD_BYTES + len(key) + len(frame or value or b"")
        """The bytes that this entry counts as."""
        self._value = value
        self._frame = frame

    @property
    def frame(self) -> bytes | None:
        """The event as a websocket frame; None if the record can't be read (``bad`` then says why)."""
        if self._frame is None and self.bad is None:
            self._make_frame()
        return self._frame

    def _make_frame(self) -> None:
        try:
            sent = MessageSent.read_value(self._value)
            # The joined key is not enough: a "/" in the record's own would count as the one between.
            if sent.group != self.group or message_key(sent.group, sent.up, sent.id).encode() != self.key:
                raise BadRecord("key and ce_id do not name the message")
        except BadRecord as error:
            self.bad = str(error)
        else:
            self._frame = message_frame(
                id=sent.id, seq=self.seq, room=sent.group, up=sent.up, message=sent.message,
                timestamp=self.timestamp, sent_at=sent.sent_at,
            )  # fmt: skip
        self._value = None


class RecentLog:
    """The newest entries of all partitions, by group and by key."""

    def __init__(self, *, max_bytes: int, max_records: int) -> None:
        self._max_bytes = max_bytes
        self._max_records = max_records
        self._all: deque[Entry] = deque()
        self._groups: defaultdict[str, deque[Entry]] = defaultdict(deque)
        self._keys: dict[bytes, Entry] = {}
        self._floors: dict[int, int] = {}
        self.bytes = 0

    def begin(self, partition: int, seq: int) -> None:
        """Set the seq from which on clients can be resumed, the floor.

        Reading may have begun earlier: a retry is detected only if some records before it were read, too.
        """
        self._floors[partition] = seq

    def find(self, key: bytes) -> Entry | None:
        """Return the first entry of a message; None if the window does not have it."""
        return self._keys.get(key)

    def add(self, entry: Entry) -> Entry:
        """Add an entry, in log order within its partition, and return it.

        A retry is not added: the first entry of its message is returned.
        """
        first = self._keys.get(entry.key)
        if first is not None and first.frame is not None:
            return first
        self._all.append(entry)
        entries = self._groups[entry.group]
        if not entries:
            self.bytes += GROUP_OVERHEAD_BYTES
        entries.append(entry)
        self._keys[entry.key] = entry
        self.bytes += entry.size
        while self.bytes > self._max_bytes or len(self._all) > self._max_records:
            self._evict()
        return entry

    def reaches(self, partition: int, since: int) -> bool:
        """Return whether the window holds all entries of a partition after ``since``."""
        return since + 1 >= self._floors[partition]

    def newest_at(self, group: str) -> int:
        """Return the log's time of a group's newest entry, in ms; -1 if there is none."""
        entries = self._groups.get(group)
        return entries[-1].timestamp if entries else -1

    def after(self, group: str, since: int, *, most_bytes: float) -> list[Entry] | None:
        """Return a group's readable entries with a seq above ``since``, in log order.

        Return None if they have more than ``most_bytes`` as frames; no more frames than that are made.
        """
        missed: list[Entry] = []
        for entry in reversed(self._groups.get(group, ())):
            if entry.seq <= since:
                break
            if entry.frame is not None:
                most_bytes -= len(entry.frame)
                if most_bytes < 0:
                    return None
                missed.append(entry)
        missed.reverse()
        return missed

    def _evict(self) -> None:
        oldest = self._all.popleft()
        entries = self._groups[oldest.group]
        entries.popleft()
        if not entries:
            del self._groups[oldest.group]
            self.bytes -= GROUP_OVERHEAD_BYTES
        if self._keys.get(oldest.key) is oldest:
            del self._keys[oldest.key]
        self._floors[oldest.partition] = max(oldest.seq + 1, self._floors[oldest.partition])
        self.bytes -= oldest.size

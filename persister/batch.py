"""Batch: what is written in one go. Pure: the clock is the caller's, and nothing is written here.

Of several messages with the same ``_id`` the first is kept, as in the store. Several folds of one document
are `merged`. So the order within a batch does not matter, and a batch may be written twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka import TopicPartition

from persister.read_records import Fold, NewMessage, Poison, ReadResult
from schemas.documents import ONLINE_EDGE, ONLINE_PROCESS
from schemas.ids import may_be_one

Ends = dict[TopicPartition, int]
"""The next offset to read, by partition: everything before it is in the batch or was before it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """A batch is full at ``records`` or ``bytes``, and due at the age ``age_s``."""

    records: int
    bytes: int
    age_s: float


class Batch:
    """Records that are read and not written yet, of one assignment (``epoch``) of the consumer group."""

    def __init__(self, limits: Limits, epoch: int) -> None:
        self._limits = limits
        self.epoch = epoch
        self.records = 0
        self.bytes = 0
        self.repeated = 0
        """Messages left out: the batch has an earlier one with the same ``_id``."""
        self.opened_at = 0.0
        self.oldest_ms = 0
        """The broker's time of the oldest record."""
        self.ends: Ends = {}
        self.messages: dict[str, NewMessage] = {}
        self.folds: dict[tuple[str, str, str], Fold] = {}
        self.poison: list[Poison] = []

    def add(self, partition: TopicPartition, result: ReadResult, now: float) -> None:
        """Add the partition's next record. ``now`` is in seconds, of a monotonic clock."""
        record = result.source
        if self.records == 0:
            self.opened_at = now
            self.oldest_ms = record.timestamp
        elif record.timestamp < self.oldest_ms:
            self.oldest_ms = record.timestamp
        self.records += 1
        self.bytes += max(record.serialized_value_size, 0) + max(record.serialized_key_size, 0)
        self.ends[partition] = record.offset + 1
        self._add_result(result)

    def _add_result(self, result: ReadResult) -> None:
        if isinstance(result, NewMessage):
            key = result.document["_id"]
            if self.messages.setdefault(key, result) is not result:
                self.repeated += 1
        elif isinstance(result, Fold):
            fold = result.collection, result.key, result.guard
            self.folds[fold] = merged(self.folds.get(fold), result)
        else:
            self.poison.append(result)

    def set_aside(self, refused: Mapping[str, Poison] | Mapping[tuple[str, str, str], Poison]) -> None:
        """Move what the store refuses, by its key, from the messages or folds to the poison records."""
        for key, poison in refused.items():
            if isinstance(key, str):
                del self.messages[key]
            else:
                del self.folds[key]
            self.poison.append(poison)

    @property
    def full(self) -> bool:
        """Whether nothing more may be added."""
        return self.records >= self._limits.records or self.bytes >= self._limits.bytes

    @property
    def free(self) -> int:
        """How many records may still be added; a batch that is not full takes a record of any size."""
        return self._limits.records - self.records

    @property
    def due_at(self) -> float:
        """When the batch is old enough to be written, by the clock of `add`."""
        return self.opened_at + self._limits.age_s


def merged(earlier: Fold | None, later: Fold) -> Fold:
    """Return one fold with the same effect as both, one after the other.

    The later one decides, unless it is a departure: an edge may report a departure after the user has
    connected to another edge, or to its own next process. That must not make the user offline.
    """
    if earlier is None or later.left is None:
        return later
    if earlier.left is not None:
        return later._replace(left=earlier.left | later.left)
    values = earlier.values or {}
    edge, process = values.get(ONLINE_EDGE), values.get(ONLINE_PROCESS)
    if edge is not None and not any(
        edge == left and may_be_one(process, its_process) for left, its_process in later.left
    ):
        return earlier
    return later._replace(left=None, values={**values, **(later.values or {})})

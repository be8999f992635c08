"""Gives each record its turn: detects retries, adds it to the window, sends it to its room, acks its sender.

Nothing here awaits: this is one step, which no other task can see half done.
"""

import logging
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from aiokafka import ConsumerRecord

from edge_server.fan_out import FanOut
from edge_server.log_order import LogOrder
from edge_server.recent_log import Entry, RecentLog
from edge_server.rooms import Rooms
from runtime import logs, metrics
from schemas import topics
from schemas.log_records import MessageSent

if TYPE_CHECKING:
    from runtime.spans import Spans

log = logging.getLogger(__name__)

_MESSAGE_SENT: Final = MessageSent.ce_type.encode()

OnEntry = Callable[[Entry], None]


class Delivery:
    """Merges consumed and acked records, and gives each its one turn, in the log's order."""

    def __init__(
        self,
        rooms: Rooms,
        window: RecentLog,
        fan_out: FanOut,
        *,
        beginning: Callable[[int], tuple[int, int]],
        spans: "Spans | None" = None,
    ) -> None:
        self._rooms = rooms
        self._window = window
        self._fan_out = fan_out
        self._beginning = beginning
        self._spans = spans
        self._orders: dict[int, LogOrder] = {}
        self._debugs = log.isEnabledFor(logging.DEBUG)
        self.on_settled: OnEntry = lambda _entry: None
        """Called when a record had its turn, with the first entry of its message."""
        self.on_lost: OnEntry = lambda _entry: None
        """Called with each acked record that the log does not have."""

    def head(self, partition: int) -> int:
        """Return the newest seq that had its turn, whether or not it has left the fan-out's outbox."""
        return self._order(partition).next_seq - 1

    def consumed(self, partition: int, records: Sequence[ConsumerRecord]) -> None:
        """Add consumed records of one partition, in offset order."""
        order = self._order(partition)
        since_ns, first_seq = time.time_ns(), order.next_seq
        for record in records:
            if record.offset >= order.next_seq:
                for entry in order.consumed(_entry_of(record)):
                    self._take_turn(entry)
        if order.lost:
            lost, order.lost = order.lost, []
            self.report_lost(lost)
        # Before its first client, an edge rereads old records that others delivered: that is no lag.
        if self._rooms.clients and records[-1].timestamp > 0:
            metrics.BUS_LAG_SECONDS.observe(max(0.0, time.time() - records[-1].timestamp / 1000))
        if self._spans is not None:
            # A record of ours that had its turn by its ack is already in the span of its sending.
            new = (record for record in records if record.offset >= first_seq)
            delivered = (record for record in new if self._rooms.is_watched(_group_of(record.key or b"")))
            self._spans.processed(delivered, since_ns)

    def acked(self, entry: Entry) -> None:
        """Add a record of ours that every in-sync replica has."""
        for ready in self._order(entry.partition).acked(entry):
            self._take_turn(ready)

    def report_lost(self, lost: Sequence[Entry]) -> None:
        """Count, log and pass on acked records of one partition that the log does not have."""
        metrics.LOST_ACKED.inc(len(lost))
        seqs = [entry.seq for entry in lost]
        log.critical(
            "acked records are missing in the log",
            extra=logs.facts(
                partition=lost[0].partition,
                records=len(lost),
                first_offset=min(seqs),
                last_offset=max(seqs),
            ),
        )
        for entry in lost:
            self.on_lost(entry)

    def _order(self, partition: int) -> LogOrder:
        order = self._orders.get(partition)
        if order is None:
            start, resumable_from = self._beginning(partition)
            self._window.begin(partition, resumable_from)
            order = self._orders[partition] = LogOrder(start)
        return order

    def _take_turn(self, entry: Entry) -> None:
        first = self._window.add(entry)
        if first is not entry:
            metrics.DUPLICATES.inc()
        elif self._rooms.is_watched(entry.group):
            if self._debugs:
                log.debug(
                    "a message is delivered", extra=logs.facts(message=_message_id(entry), seq=entry.seq)
                )
            self._send_to_room(entry)
        self.on_settled(first)

    def _send_to_room(self, entry: Entry) -> None:
        if entry.frame is not None:
            self._fan_out.put(entry)
            return
        metrics.BAD_RECORDS.labels(topic=topics.MESSAGES).inc()
        log.warning(
            "a message cannot be read",
            extra=logs.facts(
                message=_message_id(entry), partition=entry.partition, offset=entry.seq, reason=entry.bad
            ),
        )


def _entry_of(record: ConsumerRecord) -> Entry:
    """Return a consumed record as an entry, without parsing its value.

    The message is named by the record's key and its header ``ce_id``; a retry has the same. If a header is
    there twice its first value counts, as for all readers.
    """
    ce_type = ce_id = b""
    for name, value in reversed(record.headers):
        # Kafka allows headers without a value.
        if name == "ce_type":
            ce_type = value or b""
        elif name == "ce_id":
            ce_id = value or b""
    key = record.key or b""
    return Entry(
        _group_of(key),
        b"%b/%b" % (key, ce_id),
        record.partition,
        record.offset,
        record.timestamp,
        value=record.value,
        bad=None if ce_type == _MESSAGE_SENT else f"type is {ce_type[:100]!r}",
    )


def _message_id(entry: Entry) -> str:
    """Return the message's ``_id`` in the store, which names it in the logs of all services."""
    return entry.key.decode(errors="replace")


@lru_cache(maxsize=100_000)
def _group_of(key: bytes) -> str:
    """Return the group that a key names. Cached, so that the window's entries of one group share its text."""
    return key.decode(errors="replace")

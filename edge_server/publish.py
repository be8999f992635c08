"""Writes a message to the log; its sender gets the ack when the message's turn has come.

The turn decides, not the broker's ack alone: only then is it known whether this was the first record of the
message or a retry, and an ack never names a seq that history does not have. No task waits for an outcome: a
caller leaves a callback (`OnOutcome`), and one check every 0.1 s refuses those that waited for too long.
"""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from edge_server.delivery import Delivery
from edge_server.frames import message_frame
from edge_server.message_writer import ROUNDS_PER_S, UNKNOWN, MessageWriter, Outgoing
from edge_server.recent_log import Entry, RecentLog
from edge_server.settings import EdgeSettings
from runtime import logs, metrics
from runtime.kafka import KeptProducer, partition_of
from schemas import topics
from schemas.client_events import SendMessage
from schemas.documents import message_key
from schemas.log_records import message_value
from schemas.refusals import OVERLOADED, UNAVAILABLE, Refused

if TYPE_CHECKING:
    from runtime.spans import Sending, Spans

log = logging.getLogger(__name__)
# Where Kafka refuses writes, each request of a client would log a line, all alike.
log.addFilter(logs.RateLimit())

OnOutcome = Callable[[Entry | Refused], None]
"""Called with the outcome of a message: its entry in the log, or why it is refused."""

CHECK_EVERY_S: Final = 0.1


@dataclass(slots=True, eq=False)
class Pending(Outgoing):
    """A message on its way to the log, since when (loop time), and the callers that wait for its outcome."""

    id: str
    sent: SendMessage
    since: float
    callers: list[tuple[float, OnOutcome]] = field(default_factory=list)
    settled: bool = False
    sending: "Sending | None" = None
    """Its span, where it is traced."""


class Publisher:
    """Writes messages to the log and calls their senders back when they are settled."""

    def __init__(
        self,
        settings: EdgeSettings,
        producer: KeptProducer,
        delivery: Delivery,
        window: RecentLog,
        spans: "Spans | None" = None,
        *,
        rounds_per_s: float = ROUNDS_PER_S,
    ) -> None:
        self._timeout_s = settings.send_timeout_ms / 1000
        self._refuse_after_s = settings.refuse_when_waiting_ms / 1000
        self._max_pending = settings.max_pending_sends
        self._delivery = delivery
        self._window = window
        self._spans = spans
        self._pending: dict[bytes, Pending] = {}
        self._partitions = settings.kafka_partitions
        self._by_partition: defaultdict[int, deque[Pending]] = defaultdict(deque)
        """Oldest first, by partition: one whose broker does not answer holds up only its own groups."""
        self.written = 0
        """Messages that clients sent and the log took, since the start."""
        self._drained: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._debugs = log.isEnabledFor(logging.DEBUG)
        self._writer = MessageWriter(
            producer,
            source=settings.edge_name,
            on_written=self._on_written,
            on_failed=self._on_failed,
            rounds_per_s=rounds_per_s,
        )
        delivery.on_settled = self._settle
        delivery.on_lost = self._refuse_lost
        metrics.PENDING_SENDS.set_function(lambda: len(self._pending))

    def publish(self, message_id: str, sent: SendMessage, on_outcome: OnOutcome) -> None:
        """Write a message; call ``on_outcome`` once it is durable and its turn has come, or with a refusal.

        The refusal is ``unavailable`` if the log does not answer in time: the message may be stored all the
        same, and a retry with the same id is safe. Raises `Refused` at once: ``overloaded`` past the bound of
        pending messages, ``unavailable`` while others of its partition wait for too long already.
        """
        key = message_key(sent.room, sent.up, message_id).encode()
        entry = self._window.find(key)
        if entry is not None and entry.frame is not None:
            on_outcome(entry)
            return
        now = self._loop.time()
        pending = self._pending.get(key)
        if pending is None:
            pending = self._admit(key, message_id, sent, now)
        pending.callers.append((now, on_outcome))

    async def refuse_overdue(self) -> None:
        """Refuse callers that wait for too long, for ever."""
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            overdue = self._loop.time() - self._timeout_s
            for in_order in self._by_partition.values():
                _forget_settled(in_order)
                for pending in in_order:
                    if pending.since > overdue:
                        break
                    self._refuse_late_callers(pending, overdue)

    async def drain(self, deadline_s: float) -> None:
        """Wait until nothing is pending any more, or until the deadline."""
        if self._pending:
            self._drained = self._loop.create_future()
            await asyncio.wait([self._drained], timeout=deadline_s)
        self._writer.close()

    def _admit(self, key: bytes, message_id: str, sent: SendMessage, now: float) -> Pending:
        group = sent.room.encode()
        partition = partition_of(group, self._partitions)
        in_order = self._by_partition[partition]
        self._require_capacity(in_order, now)
        value = message_value(
            id=message_id, group=sent.room, up=sent.up, message=sent.message, sent_at=sent.timestamp
        )
        pending = Pending(partition, group, key, value, message_id, sent, now)
        if self._spans is not None:
            sending = self._spans.send(topics.MESSAGES, key=sent.room, message_id=f"{sent.up}/{message_id}")
            if sending is not None:
                pending.sending, pending.trace = sending, sending.headers
        self._pending[key] = pending
        in_order.append(pending)
        self._writer.put(pending)
        return pending

    def _require_capacity(self, in_order: deque[Pending], now: float) -> None:
        if len(self._pending) >= self._max_pending:
            raise Refused(OVERLOADED)
        _forget_settled(in_order)
        if in_order and now - in_order[0].since > self._refuse_after_s:
            raise Refused(UNAVAILABLE)

    def _on_written(self, batch: Sequence[Pending], first_offset: int, timestamp: int) -> None:
        metrics.MESSAGES_IN.inc(len(batch))
        self.written += len(batch)
        if first_offset == UNKNOWN:
            return  # Consuming gives them their turn.
        lost: list[Entry] = []
        for offset, pending in enumerate(batch, first_offset):
            sent = pending.sent
            frame = message_frame(
                id=pending.id, seq=offset, room=sent.room, up=sent.up, message=sent.message,
                timestamp=timestamp, sent_at=sent.timestamp,
            )  # fmt: skip
            entry = Entry(sent.room, pending.key, pending.partition, offset, timestamp, frame=frame)
            self._delivery.acked(entry)
            if not pending.settled and offset <= self._delivery.head(pending.partition):
                # This offset had its turn already, with another record: the brokers have lost this one.
                lost.append(entry)
        if lost:
            self._delivery.report_lost(lost)

    def _on_failed(self, batch: Sequence[Pending], error: BaseException) -> None:
        log.error("messages could not be written", extra=logs.facts(messages=len(batch), error=repr(error)))
        for pending in batch:
            _debug("a message could not be written", pending)
            self._finish(pending, Refused(UNAVAILABLE))

    def _settle(self, entry: Entry) -> None:
        pending = self._pending.get(entry.key)
        # An unreadable record under a message's key is not that message.
        if pending is not None and entry.frame is not None:
            metrics.ACK_SECONDS.observe(self._loop.time() - pending.since)
            if self._debugs:
                _debug("a message is in the log", pending, partition=entry.partition, seq=entry.seq)
            self._finish(pending, entry)

    def _refuse_lost(self, entry: Entry) -> None:
        """Refuse a message that the brokers acked and then lost: it has to be sent again."""
        pending = self._pending.get(entry.key)
        if pending is not None:
            self._finish(pending, Refused(UNAVAILABLE))

    def _finish(self, pending: Pending, outcome: Entry | Refused) -> None:
        if pending.settled:
            return  # It was consumed before its failure was known.
        del self._pending[pending.key]
        pending.settled = True
        if pending.sending is not None:
            _end_span(pending.sending, outcome)
        # It may stay in `_by_partition` behind an older one, where no caller must be refused for it any more.
        callers, pending.callers = pending.callers, []
        for _, on_outcome in callers:
            on_outcome(outcome)
        if self._drained is not None and not self._pending and not self._drained.done():
            self._drained.set_result(None)

    def _refuse_late_callers(self, pending: Pending, overdue: float) -> None:
        """Refuse callers that waited for too long.

        The message stays pending: its turn may still come, and a retry must not be written a second time.
        """
        late = [on_outcome for since, on_outcome in pending.callers if since <= overdue]
        pending.callers = [(since, on_outcome) for since, on_outcome in pending.callers if since > overdue]
        if late:
            _debug("a message has waited for too long", pending)
        for on_outcome in late:
            on_outcome(Refused(UNAVAILABLE))


def _forget_settled(in_order: deque[Pending]) -> None:
    """Drop settled messages from the front, so that the oldest pending one is first."""
    while in_order and in_order[0].settled:
        in_order.popleft()


def _debug(what: str, pending: Pending, **facts: object) -> None:
    log.debug(what, extra=logs.facts(message=pending.key.decode(), **facts))


def _end_span(sending: "Sending", outcome: Entry | Refused) -> None:
    if isinstance(outcome, Refused):
        sending.failed(outcome.refusal.code)
    else:
        sending.sent(outcome.partition, outcome.seq)

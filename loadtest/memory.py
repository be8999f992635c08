"""Records what the students of one process sent, got acked and received, and finds faults in it. Pure.

A room's seqs are those that any student got acked or has received. A member must receive all of them that are
newer than the head at which they joined, each once, in rising order.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from loadtest.latency import Latencies
from schemas.client_events import ChatMessage
from schemas.log_records import MAX_EXACT

FORGET_AFTER_S: Final = 120.0
"""How long after its ack a message that all members have received is kept; then only seq and hash are."""


@dataclass(slots=True)
class SentMessage:
    """A message that a student sent. ``planned_at``: s of the run's clock; ``sent_at``: ms since 1970."""

    room: str
    up: str
    text: str
    planned_at: float
    sent_at: int
    measured: bool = True
    seq: int | None = None
    answered_at: float | None = None
    altered: bool = False


@dataclass(slots=True)
class Subscription:
    """A member's state in a room: the seq after which they must receive, and what they have received."""

    after: int | None = None
    last: int = -1
    rising: int = 0
    not_rising: list[tuple[int, int, int]] = field(default_factory=list)
    """Doubled or out of order: a seq, the newer one received before it, and ``rising`` at that time."""
    holes: list[tuple[int, int]] = field(default_factory=list)
    """Ranges (after, up to) that the edge could not recover; history has them."""


@dataclass(slots=True)
class Faults:
    """Counts of faults, in deliveries or messages."""

    missing: int = 0
    doubled: int = 0
    disordered: int = 0
    altered: int = 0
    leaked: int = 0
    not_acked: int = 0


class Memory:
    """Tracks every message of this process's students. ``clock`` gives seconds since the run's start.

    Nobody else sends to our rooms. The students may be in other groups, too: those whose ids do not begin
    with ``group_prefix`` do not count.
    """

    # Attributes are read for every delivery: slots make that 5 % cheaper.
    __slots__ = (
        *("subscriptions", "seqs", "sent", "came", "faults", "acked", "received", "refused"),
        *("deliver", "other_deliver", "ack", "other_ack", "own", "late"),
        *("_members", "_clock", "_group_prefix", "_unknown_ids"),
    )

    def __init__(
        self,
        rooms: Mapping[str, Iterable[str]],
        clock: Callable[[], float],
        *,
        group_prefix: str = "",
    ) -> None:
        self.subscriptions: dict[str, dict[str, Subscription]] = {
            up: {room: Subscription() for room in user_rooms} for up, user_rooms in rooms.items()
        }
        self._members: dict[str, list[Subscription]] = {}
        for user_rooms in self.subscriptions.values():
            for room, subscription in user_rooms.items():
                self._members.setdefault(room, []).append(subscription)
        self.seqs: dict[str, dict[int, int]] = {room: {} for room in self._members}
        """By room and seq: the hash of a forgotten message; 0 for others."""
        self.sent: dict[str, SentMessage] = {}
        self.came: set[str] = set()
        """Students who have begun to connect: the others must receive nothing."""
        self.faults = Faults()
        self.acked = self.received = self.refused = 0
        self.deliver, self.other_deliver = Latencies(), Latencies()
        """From the planned moment of a message until a member has it, of measured and of other messages."""
        self.ack, self.other_ack = Latencies(), Latencies()
        self.own = Latencies()
        """From the planned moment until the sender receives their own message, of measured messages."""
        self.late = Latencies()
        """From the planned moment until sending, of measured messages: the generator's own lateness."""
        self._clock = clock
        self._group_prefix = group_prefix
        self._unknown_ids: set[str] = set()
        """Ids of messages in our rooms that none of our students sent."""

    def add_sent(self, message_id: str, sent: SentMessage) -> None:
        """Record a message that is sent now."""
        if sent.measured:
            self.late.record(int((self._clock() - sent.planned_at) * 1e6))
        self.sent[message_id] = sent

    def add_ack(self, message_id: str, seq: int) -> None:
        """Record an ack."""
        sent, now = self.sent[message_id], self._clock()
        self.acked += 1
        ack = self.ack if sent.measured else self.other_ack
        ack.record(int((now - sent.planned_at) * 1e6))
        sent.answered_at = now
        if sent.seq != seq:
            self._set_seq(sent, seq)

    def add_refusal(self, message_id: str) -> None:
        """Record a final refusal. The message may be in the log all the same."""
        self.refused += 1
        self.sent[message_id].answered_at = self._clock()

    def add_joined(self, up: str, room: str, head: int) -> None:
        """Record that a member has joined a room. Only the first head counts: nobody leaves a group."""
        subscription = self.subscriptions[up].get(room)
        if subscription is not None and subscription.after is None:
            subscription.after = subscription.last = head

    def listener(self, up: str) -> Callable[[ChatMessage], None]:
        """Return a callback for the messages of one student. It is called for every delivery."""
        subscriptions, clock, match = self.subscriptions[up], self._clock, self.match
        record, record_other, record_own = self.deliver.record, self.other_deliver.record, self.own.record

        def received(message: ChatMessage) -> None:
            seq, room = message.seq, message.room
            subscription = subscriptions.get(room)
            if subscription is None:
                self.faults.leaked += room.startswith(self._group_prefix)
                return
            self.received += 1
            if seq > subscription.last:
                subscription.last = seq
                subscription.rising += 1
            elif seq == subscription.last:
                self.faults.doubled += 1
            else:
                subscription.not_rising.append((seq, subscription.last, subscription.rising))
            sent = match(message)
            if sent is None:
                return
            latency_us = int((clock() - sent.planned_at) * 1e6)
            if not sent.measured:
                record_other(latency_us)
                return
            record(latency_us)
            if sent.up == up:
                record_own(latency_us)

        return received

    def match(self, message: ChatMessage) -> SentMessage | None:
        """Record a received message's seq, and compare it with what was sent; return that, if known."""
        sent = self.sent.get(message.id)
        if sent is None:
            if not self._matches_forgotten(message):
                self._unknown_ids.add(message.id)
            self.seqs[message.room].setdefault(message.seq, 0)
        else:
            if sent.seq != message.seq:
                self._set_seq(sent, message.seq)
            # As in `_same_content`, of which a call would be a twentieth of what a delivery costs here.
            if (
                message.message != sent.text
                or message.up != sent.up
                or message.room != sent.room
                or message.sent_at != sent.sent_at
            ):
                self._count_altered(sent)
        return sent

    def is_as_sent(self, message: ChatMessage) -> bool:
        """Return whether a message of our rooms has the seq and content of one that was sent."""
        sent = self.sent.get(message.id)
        if sent is None:
            return self._matches_forgotten(message)
        return sent.seq in {None, message.seq} and _same_content(message, sent)

    def forget_old(self) -> None:
        """Drop old messages that all have received: a long run needs no more memory than a short one."""
        before = self._clock() - FORGET_AFTER_S
        reached: dict[str, int] = {}
        old: list[str] = []
        for message_id, sent in self.sent.items():
            if sent.planned_at > before:
                break
            if sent.answered_at is None or sent.answered_at > before:
                continue
            if sent.room not in reached:
                reached[sent.room] = self._received_by_all(sent.room)
            if sent.seq is None or sent.seq <= reached[sent.room]:
                old.append(message_id)
        for message_id in old:
            sent = self.sent.pop(message_id)
            if sent.seq is not None:
                self.seqs[sent.room][sent.seq] = hash((message_id, sent.text, sent.up, sent.sent_at))

    def outstanding(self) -> int:
        """Return how many deliveries and acks are outstanding, as far as is known."""
        unacked = sum(sent.answered_at is None for sent in self.sent.values())
        return unacked + self.verdict().missing

    def verdict(self) -> Faults:
        """Return the faults as of now."""
        faults = replace(self.faults, altered=self.faults.altered + len(self._unknown_ids))
        faults.not_acked = sum(sent.answered_at is None for sent in self.sent.values())
        sorted_seqs = {room: sorted(seqs) for room, seqs in self.seqs.items()}
        for up in self.came:
            for room, subscription in self.subscriptions[up].items():
                _judge(subscription, sorted_seqs[room], faults)
        return faults

    def _received_by_all(self, room: str) -> int:
        """Return the seq up to which all members have received. Students who have not joined don't count."""
        return min(
            (subscription.last for subscription in self._members[room] if subscription.after is not None),
            default=MAX_EXACT,
        )

    def _matches_forgotten(self, message: ChatMessage) -> bool:
        """Return whether a message has the seq and content of a forgotten one."""
        digest = hash((message.id, message.message, message.up, message.sent_at))
        return self.seqs[message.room].get(message.seq) == digest

    def _set_seq(self, sent: SentMessage, seq: int) -> None:
        """Set a message's new seq. It is altered if it has another seq, or another message has this one."""
        seqs = self.seqs[sent.room]
        if sent.seq is not None or seq in seqs:
            self._count_altered(sent)
        sent.seq = seq
        seqs.setdefault(seq, 0)

    def _count_altered(self, sent: SentMessage) -> None:
        """Count a message as altered, once for all members."""
        self.faults.altered += not sent.altered
        sent.altered = True


def _same_content(message: ChatMessage, sent: SentMessage) -> bool:
    return (
        message.message == sent.text
        and message.up == sent.up
        and message.room == sent.room
        and message.sent_at == sent.sent_at
    )


def _judge(subscription: Subscription, sorted_seqs: list[int], faults: Faults) -> None:
    """Add a member's faults. A late seq is out of order if it fills a gap, otherwise doubled."""
    late: set[int] = set()
    for seq, newest, rising in subscription.not_rising:
        if rising + len(late) < _count_expected(subscription, sorted_seqs, newest):
            late.add(seq)
    faults.missing += max(
        0, _count_expected(subscription, sorted_seqs, MAX_EXACT) - subscription.rising - len(late)
    )
    faults.disordered += len(late)
    faults.doubled += len(subscription.not_rising) - len(late)


def _count_expected(subscription: Subscription, sorted_seqs: list[int], up_to: int) -> int:
    """Return how many seqs that are not newer than ``up_to`` a member must get."""
    wanted = _count_between(sorted_seqs, -1 if subscription.after is None else subscription.after, up_to)
    return wanted - sum(
        _count_between(sorted_seqs, after, min(end, up_to)) for after, end in subscription.holes
    )


def _count_between(sorted_seqs: list[int], after: int, up_to: int) -> int:
    """Return how many seqs are newer than ``after`` and not newer than ``up_to``."""
    return max(0, bisect_right(sorted_seqs, up_to) - bisect_right(sorted_seqs, after))

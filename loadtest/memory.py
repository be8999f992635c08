"""What the students of one process have said, were acked and have received, and what was wrong with it. Pure.

A room's seqs are those that anybody was acked or has received. A member must get all of them that are newer
than the head at which they joined, each once, in rising order.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from loadtest.latency import Latencies
from schemas.client_events import ChatMessage
from schemas.log_records import MAX_EXACT

FORGET_AFTER_S: Final = 120.0
"""So long after its answer a message that no member is still to get is forgotten, but for seq and hash."""


@dataclass(slots=True)
class Said:
    """A message of ours; ``planned_at`` is in seconds of the run's clock, ``sent_at`` in ms since 1970."""

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
class Place:
    """A member's place in a room: from which seq on they listen, and what has come."""

    after: int | None = None
    last: int = -1
    rising: int = 0
    again: list[tuple[int, int, int]] = field(default_factory=list)
    """Doubled, or out of order: a seq, the newer one that had come before it, and ``rising`` by then."""
    holes: list[tuple[int, int]] = field(default_factory=list)
    """Stretches (after, up to) that the edge said it could not bring again; history has them."""


@dataclass(slots=True)
class Faults:
    """What was wrong with what came, in deliveries or messages."""

    missing: int = 0
    doubled: int = 0
    disordered: int = 0
    altered: int = 0
    leaked: int = 0
    not_acked: int = 0


class Memory:
    """Follows every message of this process's students. ``clock`` gives seconds since the run's start.

    In our rooms nobody else says anything. With ``ours`` the students may be in other groups as well: only
    those whose ids begin so count.
    """

    # Its attributes are read for every delivery: with slots that costs a twentieth less.
    __slots__ = (
        *("places", "seqs", "said", "came", "faults", "acked", "received", "refused"),
        *("deliver", "other_deliver", "ack", "other_ack", "own", "late"),
        *("_members", "_clock", "_ours", "_strange"),
    )

    def __init__(
        self,
        rooms: Mapping[str, Iterable[str]],
        clock: Callable[[], float],
        *,
        ours: str = "",
    ) -> None:
        self.places: dict[str, dict[str, Place]] = {
            up: {room: Place() for room in theirs} for up, theirs in rooms.items()
        }
        self._members: dict[str, list[Place]] = {}
        for theirs in self.places.values():
            for room, place in theirs.items():
                self._members.setdefault(room, []).append(place)
        self.seqs: dict[str, dict[int, int]] = {room: {} for room in self._members}
        """By room and seq: the hash of a message that was forgotten; 0 for others."""
        self.said: dict[str, Said] = {}
        self.came: set[str] = set()
        """Students who have been online: the others must get nothing."""
        self.faults = Faults()
        self.acked = self.received = self.refused = 0
        self.deliver, self.other_deliver = Latencies(), Latencies()
        """From the planned moment of a message until a member has it: those measured, and the others."""
        self.ack, self.other_ack = Latencies(), Latencies()
        self.own = Latencies()
        """From the planned moment until the sender has read their own message, of those measured."""
        self.late = Latencies()
        """How long after their planned moments the measured ones were given to the connections."""
        self._clock = clock
        self._ours = ours
        self._strange: set[str] = set()
        """Ids of messages in our rooms that nobody of ours has said."""

    def say(self, message_id: str, said: Said) -> None:
        """Remember a message that is sent now."""
        if said.measured:
            self.late.record(int((self._clock() - said.planned_at) * 1e6))
        self.said[message_id] = said

    def got_acked(self, message_id: str, seq: int) -> None:
        """Take an ack."""
        said, now = self.said[message_id], self._clock()
        self.acked += 1
        ack = self.ack if said.measured else self.other_ack
        ack.record(int((now - said.planned_at) * 1e6))
        said.answered_at = now
        if said.seq != seq:
            self._place_of(said, seq)

    def got_refused(self, message_id: str) -> None:
        """Take a refusal that is final. The message may stand in the log all the same."""
        self.refused += 1
        self.said[message_id].answered_at = self._clock()

    def got_joined(self, up: str, room: str, head: int) -> None:
        """A member has joined a room. What they are to get is told the first time: nobody leaves a group."""
        place = self.places[up].get(room)
        if place is not None and place.after is None:
            place.after = place.last = head

    def listener(self, up: str) -> Callable[[ChatMessage], None]:
        """Return what takes the messages of one student. It is called for every delivery."""
        places, clock, meet = self.places[up], self._clock, self.meet
        record, record_other, record_own = self.deliver.record, self.other_deliver.record, self.own.record

        def received(message: ChatMessage) -> None:
            seq, room = message.seq, message.room
            place = places.get(room)
            if place is None:
                self.faults.leaked += room.startswith(self._ours)
                return
            self.received += 1
            if seq > place.last:
                place.last = seq
                place.rising += 1
            elif seq == place.last:
                self.faults.doubled += 1
            else:
                place.again.append((seq, place.last, place.rising))
            said = meet(message)
            if said is None:
                return
            late_us = int((clock() - said.planned_at) * 1e6)
            if not said.measured:
                record_other(late_us)
                return
            record(late_us)
            if said.up == up:
                record_own(late_us)

        return received

    def meet(self, message: ChatMessage) -> Said | None:
        """Note where a received message stands in the log; return what we know of saying it, if we do."""
        said = self.said.get(message.id)
        if said is None:
            if not self._was_said(message):
                self._strange.add(message.id)
            self.seqs[message.room].setdefault(message.seq, 0)
        else:
            if said.seq != message.seq:
                self._place_of(said, message.seq)
            # As in `_is_as_sent`, of which a call would be a twentieth of what a delivery costs here.
            if (
                message.message != said.text
                or message.up != said.up
                or message.room != said.room
                or message.sent_at != said.sent_at
            ):
                self._alter(said)
        return said

    def is_as_said(self, message: ChatMessage) -> bool:
        """Return whether a message of a room of ours is one that we said, in its place and as it was sent."""
        said = self.said.get(message.id)
        if said is None:
            return self._was_said(message)
        return said.seq in {None, message.seq} and _is_as_sent(message, said)

    def forget_old(self) -> None:
        """Drop what is settled, so that a long run needs no more memory than a short one."""
        before = self._clock() - FORGET_AFTER_S
        reached: dict[str, int] = {}
        old: list[str] = []
        for message_id, said in self.said.items():
            if said.planned_at > before:
                break
            if said.answered_at is None or said.answered_at > before:
                continue
            if said.room not in reached:
                reached[said.room] = self._reached(said.room)
            if said.seq is None or said.seq <= reached[said.room]:
                old.append(message_id)
        for message_id in old:
            said = self.said.pop(message_id)
            if said.seq is not None:
                self.seqs[said.room][said.seq] = hash((message_id, said.text, said.up, said.sent_at))

    def outstanding(self) -> int:
        """Return how many deliveries and acks are still to come, as far as is known."""
        unacked = sum(said.answered_at is None for said in self.said.values())
        return unacked + self.verdict().missing

    def verdict(self) -> Faults:
        """Return what is wrong now."""
        found = replace(self.faults, altered=self.faults.altered + len(self._strange))
        found.not_acked = sum(said.answered_at is None for said in self.said.values())
        in_order = {room: sorted(seqs) for room, seqs in self.seqs.items()}
        for up in self.came:
            for room, place in self.places[up].items():
                _judge(place, in_order[room], found)
        return found

    def _reached(self, room: str) -> int:
        """Return up to which seq all members have come; who was let in nowhere is sent nothing old."""
        return min((one.last for one in self._members[room] if one.after is not None), default=MAX_EXACT)

    def _was_said(self, message: ChatMessage) -> bool:
        """Return whether it is one that we have forgotten, in its place and as it was sent."""
        hashed = hash((message.id, message.message, message.up, message.sent_at))
        return self.seqs[message.room].get(message.seq) == hashed

    def _place_of(self, said: Said, seq: int) -> None:
        """A message has one seq, which no other one has. It is called where a message's seq is news."""
        seqs = self.seqs[said.room]
        if said.seq is not None or seq in seqs:
            self._alter(said)
        said.seq = seq
        seqs.setdefault(seq, 0)

    def _alter(self, said: Said) -> None:
        """Count a message once, however many members read it otherwise than it was sent."""
        self.faults.altered += not said.altered
        said.altered = True


def _is_as_sent(message: ChatMessage, said: Said) -> bool:
    return (
        message.message == said.text
        and message.up == said.up
        and message.room == said.room
        and message.sent_at == said.sent_at
    )


def _judge(place: Place, in_order: list[int], found: Faults) -> None:
    """Add what is wrong at one place. What comes late is out of order while there is a gap, else doubled."""
    late: set[int] = set()
    for seq, newest, rising in place.again:
        if seq not in late and rising + len(late) < _wanted(place, in_order, newest):
            late.add(seq)
    found.missing += max(0, _wanted(place, in_order, MAX_EXACT) - place.rising - len(late))
    found.disordered += len(late)
    found.doubled += len(place.again) - len(late)


def _wanted(place: Place, in_order: list[int], up_to: int) -> int:
    """Return how many seqs that are not newer than ``up_to`` a member must get."""
    wanted = _between(in_order, -1 if place.after is None else place.after, up_to)
    return wanted - sum(_between(in_order, after, min(end, up_to)) for after, end in place.holes)


def _between(in_order: list[int], after: int, up_to: int) -> int:
    """Return how many seqs are newer than ``after`` and not newer than ``up_to``."""
    return max(0, bisect_right(in_order, up_to) - bisect_right(in_order, after))

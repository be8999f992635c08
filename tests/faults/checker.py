"""Decides from a history whether P1 to P5 were kept. Pure.

What the store holds is the truth about order: every client's sight of a group must be exactly that, from
where it joined to where it left, but for holes that it was told of. Every ack must name what is stored.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from schemas.client_events import ChatMessage
from tests.faults.history import History, Joined, Membership, Received, Said, Sight

REMOVED_WITHIN_S: Final = 1.0
"""So long after a removal a message may still come (P4)."""


class Fault(Enum):
    """What can be wrong, with the promise that it breaks."""

    ABSENT = "P1 acked but absent"
    MISACKED = "P1 acked as another than is stored"
    DROPPED = "P2 dropped"
    DOUBLED = "P2 doubled"
    SWAPPED = "P2 swapped"
    CHANGED = "P3 changed"
    LEAKED = "P4 leaked"
    UNSTORED = "P5 received but not stored"
    STORED_TWICE = "P5 stored twice"
    INVENTED = "P5 stored but never said"


class Finding(NamedTuple):
    """One thing that is wrong: with which message of which group, and where in whose sight."""

    fault: Fault
    group: str
    seq: int
    id: str
    client: str = ""


Truth = Mapping[int, ChatMessage]
"""What the store holds of a group, by seq."""


def check(history: History, *, removed_within_s: float = REMOVED_WITHIN_S) -> list[Finding]:
    """Return everything that is wrong, in no order; nothing where the promises were kept."""
    truth: defaultdict[str, dict[int, ChatMessage]] = defaultdict(dict)
    for message in history.stored:
        truth[message.room][message.seq] = message
    memberships: defaultdict[tuple[str, str], list[Membership]] = defaultdict(list)
    for one in history.memberships:
        memberships[one.group, one.up].append(one)
    findings = [*_check_store(history), *_check_acks(history)]
    for sight in history.sights:
        findings += _check_sight(sight, truth[sight.group])
        findings += _leaks(sight, memberships[sight.group, sight.up], removed_within_s)
    return findings


def _check_store(history: History) -> Iterator[Finding]:
    """Each document was said as it stands there, and stands there once."""
    said = {one.id: one for one in history.said}
    ids = Counter((one.room, one.id) for one in history.stored)
    seqs = Counter((one.room, one.seq) for one in history.stored)
    for message in history.stored:
        place = (message.room, message.seq, message.id)
        if ids[message.room, message.id] > 1 or seqs[message.room, message.seq] > 1:
            yield Finding(Fault.STORED_TWICE, *place)
        if message.id not in said:
            yield Finding(Fault.INVENTED, *place)
        elif not _is_as_said(message, said[message.id]):
            yield Finding(Fault.CHANGED, *place)


def _is_as_said(message: ChatMessage, said: Said) -> bool:
    return (message.up, message.room, message.message, message.sent_at) == (
        said.up, said.group, said.text, said.sent_at,
    )  # fmt: skip


def _check_acks(history: History) -> Iterator[Finding]:
    groups = {one.id: one.group for one in history.said}
    stored = {one.id: one for one in history.stored}
    for ack in history.acks:
        found = stored.get(ack.id)
        place = (groups.get(ack.id, ""), ack.seq, ack.id)
        if found is None:
            yield Finding(Fault.ABSENT, *place)
        elif (found.seq, found.timestamp) != (ack.seq, ack.timestamp):
            yield Finding(Fault.MISACKED, *place)


@dataclass(slots=True)
class _Walk:
    """A walk along one client's sight of one group."""

    sight: Sight
    truth: Truth
    after: int | None = None
    """The client is in the room, and everything after this must come."""
    highest: int = -1
    seen: set[int] = field(default_factory=set)
    excused: set[int] = field(default_factory=set)
    dropped: set[int] = field(default_factory=set)

    def joined(self, step: Joined) -> None:
        """A hole that the client was told of is none of the edge's faults: it reads history."""
        if self.after is None:
            self.after = self.highest = step.head
        elif not step.recovered:
            self.excused.update(seq for seq in self.truth if self.highest < seq <= step.head)
            self.highest = max(self.highest, step.head)

    def left(self, *, up_to: int) -> None:
        """Everything until here must have come."""
        after = up_to if self.after is None else self.after
        self.dropped.update(seq for seq in self.truth if after < seq <= up_to)
        self.after = None

    def received(self, message: ChatMessage) -> Iterator[Finding]:
        """A message must be the store's, and the next one."""
        if message.seq in self.seen:
            yield self._finding(Fault.DOUBLED, message)
        elif message.seq < self.highest:
            yield self._finding(Fault.SWAPPED, message)
        if self.after is None:
            yield self._finding(Fault.LEAKED, message)
        if message.seq not in self.truth:
            yield self._finding(Fault.UNSTORED, message)
        elif self.truth[message.seq] != message:
            yield self._finding(Fault.CHANGED, message)
        self.seen.add(message.seq)
        self.highest = max(self.highest, message.seq)

    def missing(self) -> Iterator[Finding]:
        """What should have come and did not."""
        for seq in self.dropped - self.seen - self.excused:
            yield self._finding(Fault.DROPPED, self.truth[seq])

    def _finding(self, fault: Fault, message: ChatMessage) -> Finding:
        return Finding(fault, message.room, message.seq, message.id, self.sight.client)


def _check_sight(sight: Sight, truth: Truth) -> Iterator[Finding]:
    walk = _Walk(sight, truth)
    for step in sight.steps:
        if isinstance(step, Received):
            yield from walk.received(step.message)
        elif isinstance(step, Joined):
            walk.joined(step)
        else:
            # What was said between its last message and its going need not have reached it.
            walk.left(up_to=walk.highest)
    walk.left(up_to=max(truth, default=-1))
    yield from walk.missing()


def _leaks(sight: Sight, stays: Sequence[Membership], removed_within_s: float) -> Iterator[Finding]:
    for step in sight.steps:
        if isinstance(step, Received) and not any(
            stay.from_s <= step.at_s <= stay.until_s + removed_within_s for stay in stays
        ):
            message = step.message
            yield Finding(Fault.LEAKED, message.room, message.seq, message.id, sight.client)

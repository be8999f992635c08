"""Compares what was sent, acked and received with history. Pure.

History defines the order: every member must receive exactly that.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise

from loadtest.schedule import Line
from schemas.client_events import ChatMessage


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts, in messages or in deliveries. The second half must be all zeros."""

    sent: int = 0
    acked: int = 0
    delivered: int = 0
    expected: int = 0
    stored: int = 0

    missing: int = field(default=0, metadata={"fault": "deliveries that never came"})
    doubled: int = field(default=0, metadata={"fault": "came or stored more than once"})
    out_of_order: int = field(default=0, metadata={"fault": "before one that history has earlier"})
    altered: int = field(default=0, metadata={"fault": "not as they were sent"})
    unknown: int = field(default=0, metadata={"fault": "deliveries that history does not have"})
    leaked: int = field(default=0, metadata={"fault": "deliveries to others than members"})
    not_acked: int = field(default=0, metadata={"fault": "sent and never acked"})
    not_stored: int = field(default=0, metadata={"fault": "sent and not in history"})

    @property
    def faults(self) -> dict[str, int]:
        """Counts of faults, by name; empty if there are none."""
        counted = {one.name: getattr(self, one.name) for one in fields(self) if one.metadata}
        return {name: count for name, count in counted.items() if count}

    @property
    def last_line(self) -> str:
        """The verdict as a replay's last line."""
        if self.ok:
            return "OK: every message reached every member once, in the order of history, and is stored"
        faults = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in self.faults.items())
        return f"FAILED: {faults or 'delivered is not what was expected'}"

    @property
    def ok(self) -> bool:
        """Whether every member received everything once, in order, and history has it."""
        return not self.faults and self.delivered == self.expected


Streams = Mapping[str, Mapping[str, Sequence[int]]]
"""By room and member: the received seqs, in order of arrival."""


def judge(
    *,
    lines: Mapping[str, Line],
    members: Mapping[str, Iterable[str]],
    acks: Mapping[str, int],
    streams: Streams,
    received: Iterable[ChatMessage],
    history: Mapping[str, Sequence[ChatMessage]],
    exact_times: bool = True,
) -> Verdict:
    """Return the verdict.

    ``lines`` were sent, ``acks`` give seqs, by message id; ``received`` is all that was received, each once.
    ``exact_times`` is False for a broker that keeps no append times: those of a message may differ there.
    """
    ours = {room: [one for one in history.get(room, ()) if one.id in lines] for room in members}
    found = {one.id: one for room in ours.values() for one in room}
    by_seq = {(one.room, one.seq): one for one in found.values()}
    per_room = Counter(line.room for line in lines.values())
    total = Verdict(
        sent=len(lines),
        acked=len(acks),
        expected=sum(per_room[room] * len(set(ups)) for room, ups in members.items()),
        delivered=sum(len(seqs) for room in streams.values() for seqs in room.values()),
        stored=len(found),
        doubled=sum(len(room) for room in ours.values()) - len(found),
        out_of_order=sum(descents([one.seq for one in room]) for room in ours.values()),
        altered=_altered(lines, found, acks) + sum(_differs(one, by_seq, exact_times) for one in received),
        leaked=_leaked(members, streams),
        not_acked=len(lines) - len(acks),
        not_stored=len(lines) - len(found),
    )
    for room, ups in members.items():
        truth = [one.seq for one in ours[room]]
        wanted = {*truth, *(seq for message_id, seq in acks.items() if lines[message_id].room == room)}
        for up in set(ups):
            total = _add(total, truth, wanted, streams.get(room, {}).get(up, ()))
    return total


def descents(seqs: Iterable[int]) -> int:
    """Return how many follow directly after a larger one."""
    return sum(after < before for before, after in pairwise(seqs))


def _add(total: Verdict, truth: list[int], wanted: set[int], stream: Sequence[int]) -> Verdict:
    """Return the total with the faults of one member's stream. What was acked is wanted, too."""
    if len(wanted) == len(truth) and list(stream) == truth:
        return total
    first_times = list(dict.fromkeys(stream))
    return replace(
        total,
        missing=total.missing + len(wanted.difference(first_times)),
        doubled=total.doubled + len(stream) - len(first_times),
        out_of_order=total.out_of_order + descents(first_times),
        unknown=total.unknown + sum(seq not in wanted for seq in first_times),
    )


def _altered(sent: Mapping[str, Line], found: Mapping[str, ChatMessage], acks: Mapping[str, int]) -> int:
    def is_other(stored: ChatMessage) -> bool:
        line = sent[stored.id]
        expected = (line.room, line.up, line.text, acks.get(stored.id, stored.seq))
        return (stored.room, stored.up, stored.message, stored.seq) != expected

    return sum(is_other(stored) for stored in found.values())


def _differs(received: ChatMessage, by_seq: Mapping[tuple[str, int], ChatMessage], exact_times: bool) -> bool:
    stored = by_seq.get((received.room, received.seq))
    if stored is None or stored == received:
        return False
    return exact_times or stored != received.model_copy(update={"timestamp": stored.timestamp})


def _leaked(members: Mapping[str, Iterable[str]], streams: Streams) -> int:
    inside = {room: set(ups) for room, ups in members.items()}
    return sum(
        len(seqs)
        for room, by_up in streams.items()
        for up, seqs in by_up.items()
        if up not in inside.get(room, ())
    )

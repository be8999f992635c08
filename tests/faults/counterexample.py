"""The smallest broken case of a history, as text: one message, and the few events that show it. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from tests.faults.checker import Finding
from tests.faults.history import Connection, History, Joined, Received, Sight, Step

AROUND: Final = 2
"""So many steps of a client's sight are shown on each side of the one in question."""


def report(history: History, findings: Sequence[Finding]) -> str:
    """Return counts by fault, then the smallest case of each; one line where nothing is wrong."""
    if not findings:
        return (
            f"all promises kept: {len(history.said)} said, {len(history.acks)} acks, "
            f"{len(history.stored)} stored, {_received(history)} received"
        )
    counts = Counter(finding.fault for finding in findings)
    lines = [f"{fault.value}: {count}" for fault, count in counts.most_common()]
    for fault in counts:
        smallest = _smallest(history, [finding for finding in findings if finding.fault is fault])
        lines += ["", *_explain(history, smallest)]
    return "\n".join(lines)


def _received(history: History) -> int:
    return sum(isinstance(step, Received) for sight in history.sights for step in sight.steps)


def _smallest(history: History, findings: Sequence[Finding]) -> Finding:
    """The earliest one in the group that the fewest clients saw."""
    sizes = Counter(sight.group for sight in history.sights)
    return min(findings, key=lambda one: (sizes[one.group], one.seq, one.client))


def _explain(history: History, finding: Finding) -> Iterator[str]:
    yield f"{finding.fault.value}: {finding.id} of group {finding.group}"
    yield from _told(history, finding)
    stored = [one for one in history.stored if (one.id, one.room) == (finding.id, finding.group)]
    for one in stored:
        yield f"  stored as seq {one.seq}, timestamp {one.timestamp}: {one.message[:60]!r}"
    if not stored:
        yield "  not stored"
    for sight in history.sights:
        if (sight.client, sight.group) == (finding.client, finding.group):
            yield from _stays(history, sight)
            yield from _seen(sight, finding.seq)


def _told(history: History, finding: Finding) -> Iterator[str]:
    for said in history.said:
        if said.id == finding.id:
            yield f"  said by {said.up}: {said.text[:60]!r}"
    for ack in history.acks:
        if ack.id == finding.id:
            where = _where(ack.connection)
            yield f"  acked as seq {ack.seq}, timestamp {ack.timestamp}, at {ack.at_s:.3f} s on {where}"


def _stays(history: History, sight: Sight) -> Iterator[str]:
    for stay in history.memberships:
        if (stay.group, stay.up) == (sight.group, sight.up):
            yield f"  {stay.up} was a member from {stay.from_s:.3f} s to {stay.until_s:.3f} s"


def _seen(sight: Sight, seq: int) -> Iterator[str]:
    """Yield the steps around a seq: where it came, or where it should have come."""
    yield f"  {sight.client} saw:"
    places = [n for n, step in enumerate(sight.steps) if _seq(step) == seq]
    if not places:
        later = [n for n, step in enumerate(sight.steps) if _seq(step) > seq]
        places = later[:1] or [len(sight.steps)]
    for n in range(max(0, places[0] - AROUND), min(len(sight.steps), places[-1] + AROUND + 1)):
        yield f"    {_step(sight.steps[n])}"


def _seq(step: Step) -> int:
    return step.message.seq if isinstance(step, Received) else -1


def _step(step: Step) -> str:
    if isinstance(step, Received):
        message = step.message
        what = f"seq {message.seq} {message.id} {message.message[:40]!r}"
        return f"{step.at_s:.3f} s  {what} on {_where(step.connection)}"
    if isinstance(step, Joined):
        how = "whole" if step.recovered else "with a hole"
        return f"{step.at_s:.3f} s  joined at head {step.head}, {how}, on {_where(step.connection)}"
    return f"{step.at_s:.3f} s  left"


def _where(connection: Connection) -> str:
    return f"connection {connection.number} to {connection.edge}"

"""Which promises a run has kept.

What clients saw is judged by the history checker of the fault suite (P1 to P4). Here: the store is the log
(P5), tables only grow (P6), and what is refused at once is not done (P10).
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise, zip_longest

from schemas import topics
from schemas.client_events import ChatMessage
from schemas.documents import MESSAGES
from schemas.log_records import MessageSent
from tests.faults.checker import check
from tests.faults.history import History
from tests.simulation.simulated_log import EPOCH_MS, PARTITIONS
from tests.simulation.tables import published_tables
from tests.simulation.world import World, run_seed

REMOVED_WITHIN_S = 15.0
"""Readers that are rebuilt, and steps that take long, are slower than an edge that is well."""


def judge(seed: int) -> list[str]:
    """Run a seed; return its `violations`. In `__main__`, processes that are not forked would not find it."""
    return violations(run_seed(seed))


def violations(world: World) -> list[str]:
    """Return what is wrong, in words; nothing where every promise was kept."""
    return [
        *world.failures,
        *_crashes(world),
        *_clients(world),
        *_store(world),
        *_tables(world),
        *_refusals(world),
    ]


def _crashes(world: World) -> Iterator[str]:
    for process in world.processes.values():
        if process.failure is not None:
            yield f"{process.name} failed by itself: {process.failure!r}"


def _clients(world: World) -> Iterator[str]:
    history = History(
        said=world.said,
        acks=[ack for client in world.clients for ack in client.acks],
        sights=[sight for client in world.clients for sight in client.sights.values()],
        memberships=[*world.past_memberships, *world.memberships.values()],
        stored=[_chat_message(document) for document in world.store.documents(MESSAGES).values()],
    )
    late = _late_retries(world)
    for finding in check(history, removed_within_s=REMOVED_WITHIN_S):
        if finding.id in late:
            continue
        yield f"{finding.fault.value}: {finding.group} #{finding.seq} {finding.id} {finding.client}"


def _late_retries(world: World) -> set[str]:
    """Return the messages that were sent or written again so late that edges do not promise to notice it.

    The store notices all (docs/decisions/0102).
    """
    noticed_within = world.window_records // PARTITIONS // 2
    by_time = sorted(world.log.read(topics.MESSAGES), key=lambda record: record.timestamp)
    first: dict[str, int] = {}
    late = {key.decode().rpartition("/")[2] for key in world.forgotten}
    for at, record in enumerate(by_time):
        sent = MessageSent.read(record.headers, record.value)
        if at - first.setdefault(sent.id, at) > noticed_within:
            late.add(sent.id)
    written_ms = [record.timestamp - EPOCH_MS for record in by_time]
    for message_id, at_s in (sent for client in world.clients for sent in client.sends.values()):
        written = bisect_left(written_ms, int(at_s * 1000)) - 1
        if written - first.get(message_id, written) > noticed_within:
            late.add(message_id)
    return late


def _chat_message(document: dict[str, object]) -> ChatMessage:
    fields = {**document, "room": document["group"]}
    del fields["group"], fields["_id"]
    return ChatMessage.model_validate(fields)


def _store(world: World) -> Iterator[str]:
    """The first record of each message is the one that stands in the store."""
    log: dict[tuple[str, str, str], int] = {}
    for record in world.log.read(topics.MESSAGES):
        sent = MessageSent.read(record.headers, record.value)
        log.setdefault((sent.group, sent.up, sent.id), record.offset)
    store = {
        (one["group"], one["up"], one["id"]): one["seq"] for one in world.store.documents(MESSAGES).values()
    }
    for key in sorted(log.keys() | store.keys()):
        if log.get(key) != store.get(key):
            yield f"P5 the log has {key} at {log.get(key)}, the store at {store.get(key)}"


def _tables(world: World) -> Iterator[str]:
    ages = [(table.epoch, table.version) for table in published_tables(world)]
    for before, after in pairwise(ages):
        if after <= before:
            yield f"P6 table {after} was published after {before}"


def _refusals(world: World) -> Iterator[str]:
    """Each send has one answer; and a record comes from a send that was not refused at once."""
    written = defaultdict(list)
    for record in world.log.read(topics.MESSAGES):
        written[MessageSent.read(record.headers, record.value).id].append(record.timestamp - EPOCH_MS)
    for client in world.clients:
        yield from (f"P10 {client.name}: {fault}" for fault in client.faults)
        taken = defaultdict(list)
        for number, (message_id, at_s) in client.sends.items():
            if number not in client.refused_at_once:
                taken[message_id].append(int(at_s * 1000))
        for message_id in dict.fromkeys(message_id for message_id, _ in client.sends.values()):
            came_of = zip_longest(sorted(written[message_id]), taken[message_id])
            if any(at is not None and (sent is None or at < sent) for at, sent in came_of):
                yield f"P10 {message_id} was refused at once, and stands in the log"

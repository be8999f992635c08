"""The log: partitions on three brokers, of which one leads. What only the leader has is lost when it dies.

A record is acked, and shown to readers, once every in-sync replica has it.
"""

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import ProducerFenced
from aiokafka.structs import RecordMetadata

from schemas import topics
from schemas.log_records import Encoded
from tests.records import LOG_APPEND_TIME, consumed
from tests.simulation.chance import Chance
from tests.simulation.process import Process

PARTITIONS = 2
EPOCH_MS = 1_700_000_000_000
HIDDEN = 0.5
"""How often a broker answers what was sent twice without saying where it stands."""


@dataclass(slots=True)
class Sent:
    """Records on their way into the log together, all or none, and who waits for their ack."""

    records: Sequence[Encoded]
    answer: "Future[RecordMetadata]"
    fence: int | None = None
    """The epoch of a transactional producer: a newer one fences it off."""
    offset: int = -1
    """Where the first of them stands, once it does."""

    @property
    def end(self) -> int:
        """The offset after the last of them."""
        return self.offset + len(self.records)


@dataclass(slots=True)
class Partition:
    """One partition. Readers see ``records[:replicated]``."""

    tp: TopicPartition
    records: list[ConsumerRecord] = field(default_factory=list)
    replicated: int = 0
    in_flight: deque[tuple["Route", Sent]] = field(default_factory=deque)
    electing: bool = False


class SimulatedLog:
    """All topics. ``acks_before_replication`` is a bug that the simulation must find."""

    def __init__(self, chance: Chance, *, acks_before_replication: bool = False) -> None:
        self._chance = chance
        self._acks_early = acks_before_replication
        self._fence = 0
        self._readers: dict[asyncio.Event, None] = {}
        self.partitions = {
            tp: Partition(tp)
            for name, topic in topics.ALL.items()
            for tp in (TopicPartition(name, n) for n in range(topic.partitions(PARTITIONS)))
        }

    def read(self, topic: str) -> list[ConsumerRecord]:
        """Return everything that stands in a topic, partition by partition."""
        return [
            record
            for tp, partition in self.partitions.items()
            if tp.topic == topic
            for record in partition.records[: partition.replicated]
        ]

    def end(self, tp: TopicPartition) -> int:
        """Return the offset after the last record that readers see."""
        return self.partitions[tp].replicated

    def watch(self, reader: asyncio.Event) -> None:
        """Set this event whenever a partition has grown."""
        self._readers[reader] = None

    def forget(self, reader: asyncio.Event) -> None:
        """Set it no longer."""
        self._readers.pop(reader, None)

    async def fence(self, topic: str) -> int:
        """Return an epoch that fences everybody who got one before, when nothing of theirs is under way."""
        self._fence = epoch = self._fence + 1
        mine = [partition for tp, partition in self.partitions.items() if tp.topic == topic]
        settled = asyncio.Event()
        self.watch(settled)
        while any(partition.in_flight for partition in mine):
            settled.clear()
            await settled.wait()
        self.forget(settled)
        return epoch

    def append(self, route: "Route", sent: Sent) -> None:
        """Append a record at the leader; its replicas get it later."""
        if sent.fence is not None and sent.fence < self._fence:
            if not sent.answer.done():
                sent.answer.set_exception(ProducerFenced())
                sent.answer.exception()
            return
        partition = self.partitions[route.tp]
        sent.offset = len(partition.records)
        now_ms = EPOCH_MS + int(asyncio.get_running_loop().time() * 1000)
        partition.records += [
            consumed(route.tp.topic, record, offset=offset, partition=route.tp.partition, timestamp=now_ms)
            for offset, record in enumerate(sent.records, sent.offset)
        ]
        partition.in_flight.append((route, sent))
        if self._acks_early:
            self._answer(partition, sent)
        loop = asyncio.get_running_loop()
        loop.call_later(self._chance.delay(), self._replicate, partition, sent)
        if self._chance.leader_dies():
            loop.call_later(self._chance.delay(), self.fail_leader, partition)

    def fail_leader(self, partition: Partition) -> None:
        """Let the leader die: another replica leads, with what it has, after an election."""
        at_most = self._chance.random.randint(partition.replicated, len(partition.records))
        ends = [sent.end for _, sent in partition.in_flight if sent.end <= at_most]
        end = max([partition.replicated, *ends])
        del partition.records[end:]
        partition.electing = True
        lost = [(route, sent) for route, sent in partition.in_flight if sent.offset >= end]
        for route, sent in reversed(lost):
            # An idempotent producer sends again what it has not been told of, in the same order.
            sent.offset = -1
            if not (self._acks_early and sent.answer.done()):
                route.waiting.appendleft(sent)
                route.pump()
        # Of the others it sends again what it has not been told of either; the new leader knows it already.
        self._reach(partition, end, hidden=self._chance.random.random() < HIDDEN)
        partition.in_flight.clear()
        asyncio.get_running_loop().call_later(
            self._chance.random.uniform(0.05, 1.0), self._elected, partition
        )

    def _elected(self, partition: Partition) -> None:
        partition.electing = False

    def _replicate(self, partition: Partition, sent: Sent) -> None:
        if sent.offset >= partition.replicated:
            self._reach(partition, sent.end)

    def _reach(self, partition: Partition, end: int, *, hidden: bool = False) -> None:
        partition.replicated = max(partition.replicated, end)
        while partition.in_flight and -1 < partition.in_flight[0][1].offset < end:
            self._answer(partition, partition.in_flight.popleft()[1], hidden=hidden)
        for reader in self._readers:
            reader.set()

    def _answer(self, partition: Partition, sent: Sent, *, hidden: bool = False) -> None:
        if sent.answer.done() or self._chance.fails():
            return
        tp, offset, timestamp = partition.tp, -1, -1
        if not hidden:
            offset, timestamp = sent.offset, partition.records[sent.offset].timestamp
        sent.answer.set_result(
            RecordMetadata(tp.topic, tp.partition, tp, offset, timestamp, LOG_APPEND_TIME, 0)
        )


class Route:
    """One producer's way to one partition: records arrive in the order in which they were sent."""

    def __init__(self, log: SimulatedLog, process: Process, tp: TopicPartition) -> None:
        self._log = log
        self._process = process
        self._pumping = False
        self.failed = False
        self.tp = tp
        self.waiting: deque[Sent] = deque()

    def send(self, sent: Sent) -> None:
        """Send records."""
        self.waiting.append(sent)
        self.pump()

    def pump(self) -> None:
        """See to it that what waits arrives some time later."""
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_later(self._process.chance.delay(), self._arrive)

    def _arrive(self) -> None:
        self._pumping = False
        if self._log.partitions[self.tp].electing:
            return self.pump()
        if self.failed or not self._process.alive:
            # What a dead or failed one has sent may still be in the network, up to some record.
            self.waiting = deque(
                list(self.waiting)[: self._process.chance.random.randint(0, len(self.waiting))]
            )
        while self.waiting:
            self._log.append(self, self.waiting.popleft())
        return None

"""The persister, the gateway and the dispatcher: their production parts, put together over simulated I/O."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import orjson
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata
from pydantic import SecretStr

from api_gateway.history import History
from api_gateway.location import Locations
from api_gateway.settings import GatewaySettings
from api_gateway.store_reads import StoreReads
from api_gateway.stored_progress import StoredProgress
from dispatcher.log_clock import LogClock
from dispatcher.term import Pace, Term
from persister.batch_writer import BatchWriter
from persister.dead_letters import DeadLetters
from persister.outage import Outage
from persister.pipeline import Pipeline
from persister.settings import PersisterSettings
from runtime.assignments import Assignments
from runtime.kafka import write
from runtime.settings import MIN_SECRET_BYTES
from schemas import topics
from schemas.api import HistoryPage
from schemas.assignments import TABLE_KEY, TableAssigned
from schemas.ids import membership_key
from schemas.log_records import EdgeReported, Encoded, LeaderTicked, MemberJoined, encode, tombstone
from tests.simulation.process import Process
from tests.simulation.simulated_log import PARTITIONS, SimulatedLog
from tests.simulation.simulated_producer import KeptSimulatedProducer, SimulatedProducer
from tests.simulation.simulated_readers import (
    Group,
    SimulatedConsumer,
    SimulatedGroupReader,
    SimulatedLogReader,
)
from tests.simulation.simulated_store import SimulatedStore

PERSISTER: Final = PersisterSettings(kafka_partitions=PARTITIONS, flush_after_records=8, log_dir="")
GATEWAY: Final = GatewaySettings(
    kafka_partitions=PARTITIONS, log_dir="", token_secret=SecretStr("x" * MIN_SECRET_BYTES)
)
DEAD_AFTER_S: Final = 1.5
GRACE_S: Final = 1.0
POLL_S: Final = 0.1


def start_persister(
    process: Process, log: SimulatedLog, store: Any, group: Group, pipeline: type[Pipeline] = Pipeline
) -> None:
    """Start a persister."""
    outage = Outage(0.5)
    reach: Any = SimulatedStore(store, process)
    producer = KeptSimulatedProducer(log, process, PERSISTER)
    process.supervise("producer", producer.run)
    letters = DeadLetters(producer, consumer="persister", partitions=PARTITIONS)
    persisting = pipeline(
        PERSISTER,
        reach,
        BatchWriter(reach, letters, outage),
        outage,
        clock=asyncio.get_running_loop().time,
        new_reader=partial(SimulatedGroupReader, log, process, group),
    )
    process.supervise("persist", persisting.run)


class SimulatedGateway:
    """What clients ask of a gateway: where to connect, and what was said."""

    def __init__(self, process: Process, log: SimulatedLog, store: Any) -> None:
        self.process = process
        assignments = Assignments()
        self.locations = Locations(assignments)
        reads = StoreReads(SimulatedStore(store, process), GATEWAY)  # type: ignore[arg-type]
        self._history = History(reads, StoredProgress(reads, GATEWAY), GATEWAY)
        reader = SimulatedLogReader(log, process, GATEWAY, topics.ASSIGNMENTS, assignments.take)
        process.supervise("follow", reader.run)

    async def locate(self, up: str) -> str:
        """Return the URL of a student's edge. Raises `Refused`."""
        await self.process.step()
        return str(orjson.loads(self.locations.find(up))["url"])

    async def history(self, group: str, after: int) -> Any:
        """Return a page of the messages after a seq. Raises `Refused`."""
        await self.process.step()
        return await self._history.page(group, HistoryPage(after=after, perPage=200))


async def write_membership(producer: SimulatedProducer, group: str, up: str, *, member: bool) -> None:
    """Write a membership, or its end, until the log has it."""
    key = membership_key(group, up)
    record = (
        encode(MemberJoined(group=group, up=up), key=key, source="gateway")
        if member
        else tombstone(key=key, source="gateway", kind=MemberJoined)
    )
    writer: Any = producer
    while True:
        try:
            await (await write(writer, topics.MEMBERSHIPS, record, PARTITIONS))
        except KafkaError:
            continue
        return


class SimulatedDispatcher:
    """A dispatcher. It leads from when it is told to, until another has fenced it off or Kafka fails it."""

    def __init__(self, process: Process, log: SimulatedLog) -> None:
        self.process = process
        self.leads = False
        self._log = log
        self._producer = SimulatedProducer(log, process)

    async def lead(self) -> None:
        """Lead for one term."""
        self.leads = True
        try:
            await self._lead()
        except (KafkaError, TimeoutError) as error:
            self.process.trace(f"{self.process.name} no longer leads: {error!r}")
        finally:
            self.leads = False

    async def _lead(self) -> None:
        """Fence the one before, start from its table, read reports, publish what changes."""
        (reports,) = [tp for tp in self._log.partitions if tp.topic == topics.EDGE_STATUS]
        fence = await self._log.fence(topics.ASSIGNMENTS)
        consumer = SimulatedConsumer(self._log, self.process, most_idle_s=POLL_S)
        await consumer.start()
        consumer.assign([reports])
        consumer.seek(reports, self._log.end(reports))
        term = Term(await self._published(), Pace(DEAD_AFTER_S))
        self.process.trace(f"{self.process.name} leads in epoch {term.epoch}")
        leader = f"{self.process.name}/{fence}"
        reading = _Reading(term, leader)
        said: object = None
        while True:
            if term.content() != said:
                said = term.content()
                await self._publish(term.next_table(), fence)
            if reading.clock.due(_now()):
                tick = LeaderTicked(leader=leader, number=reading.clock.send(_now()))
                await self._send(topics.EDGE_STATUS, encode(tick, key="dispatcher", source="dispatcher"))
            batches = await consumer.getmany(timeout_ms=0, max_records=1000)
            reading.take(batches.get(reports, ()))

    async def _published(self) -> TableAssigned | None:
        await self.process.step()
        published = Assignments()
        published.take(0, self._log.read(topics.ASSIGNMENTS))
        return published.table

    async def _publish(self, table: TableAssigned, fence: int) -> None:
        record = encode(table, key=TABLE_KEY, source="dispatcher")
        await (await self._send(topics.ASSIGNMENTS, record, fence))
        self.process.trace(f"{self.process.name} published table {table.age_key}")

    async def _send(
        self, topic: str, record: Encoded, fence: int | None = None
    ) -> "asyncio.Future[RecordMetadata]":
        return await self._producer.send(
            topic, value=record.value, key=record.key, headers=record.headers, partition=0, fence=fence
        )


class _Reading:
    """What a leader reads: its own ticks move its clock, reports change its term."""

    def __init__(self, term: Term, leader: str) -> None:
        self.clock = LogClock()
        self._term = term
        self._leader = leader

    def take(self, records: Sequence[ConsumerRecord]) -> None:
        for record in records:
            if ("ce_type", LeaderTicked.ce_type.encode()) in record.headers:
                self._see(LeaderTicked.read(record.headers, record.value))
            else:
                self._term.add_report(EdgeReported.read(record.headers, record.value), self.clock.now)
        self._term.settle(self.clock.now)

    def _see(self, tick: LeaderTicked) -> None:
        if tick.leader == self._leader and self.clock.tick_returned(tick.number, _now()):
            self._term.reports.forgive_silence(self.clock.now, GRACE_S)


def _now() -> float:
    return asyncio.get_running_loop().time()

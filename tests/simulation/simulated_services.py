"""The persister and the gateway: their production parts, put together over simulated I/O."""

import asyncio
from functools import partial
from typing import Any, Final

import orjson
from aiokafka.errors import KafkaError
from pydantic import SecretStr

from api_gateway.history import History
from api_gateway.location import Locations
from api_gateway.settings import GatewaySettings
from api_gateway.store_reads import StoreReads
from api_gateway.stored_progress import StoredProgress
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
from schemas.ids import membership_key
from schemas.log_records import Encoded, MemberJoined, encode, tombstone
from tests.simulation.process import Process
from tests.simulation.simulated_log import PARTITIONS, SimulatedLog
from tests.simulation.simulated_producer import KeptSimulatedProducer, SimulatedProducer
from tests.simulation.simulated_readers import (
    Group,
    SimulatedGroupReader,
    SimulatedLogReader,
)
from tests.simulation.simulated_store import SimulatedStore

PERSISTER: Final = PersisterSettings(kafka_partitions=PARTITIONS, flush_after_records=8, log_dir="")
GATEWAY: Final = GatewaySettings(
    kafka_partitions=PARTITIONS, log_dir="", token_secret=SecretStr("x" * MIN_SECRET_BYTES)
)


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


async def write_until_taken(
    producer: SimulatedProducer, topic: str, record: Encoded, partitions: int
) -> None:
    """Write a record until the log has it."""
    writer: Any = producer
    while True:
        try:
            await (await write(writer, topic, record, partitions))
        except KafkaError:
            continue
        return


async def write_membership(producer: SimulatedProducer, group: str, up: str, *, member: bool) -> None:
    """Write a membership, or its end, until the log has it."""
    key = membership_key(group, up)
    record = (
        encode(MemberJoined(group=group, up=up), key=key, source="gateway")
        if member
        else tombstone(key=key, source="gateway", kind=MemberJoined)
    )
    await write_until_taken(producer, topics.MEMBERSHIPS, record, PARTITIONS)

"""CPU a record that nobody here waits for: every edge reads every record. The reference is the bare consumer.

The edge is frozen while the records are written, so that it meets all of them at once.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition

from loadtest.server_side import cpu_s
from runtime.kafka import started_producer
from runtime.log_reader import MAX_POLL_RECORDS, POLL_MS
from runtime.settings import KafkaSettings
from schemas import topics
from tests.bench.processes import Rig, Server, Size, own_cpu_s
from tests.bench.rounds import Figures, compare
from tests.bench.store_rate import Backlog
from tests.bench.table import Row

RECORDS = 30_000
REST_S = 0.3
RESTING = 0.1
"""An edge that uses less than this share of a core has nothing left to read."""
DEADLINE_S = 60.0


@asynccontextmanager
async def bare_consumer(settings: KafkaSettings, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Run the client library's consumer of a whole topic, set up as an edge's is."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=POLL_MS,
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, n) for n in range(settings.kafka_partitions)])
        yield consumer
    finally:
        await consumer.stop()


class Skimmer:
    """An edge without clients."""

    def __init__(self, edge: Server, backlog: Backlog) -> None:
        self._edge = edge
        self._backlog = backlog

    async def read(self, records: int) -> Figures:
        """Prepare records and measure until the edge rests again."""
        self._edge.process.freeze()
        await self._backlog.write(records)
        before = cpu_s(self._edge.pid)
        self._edge.process.thaw()
        async with asyncio.timeout(DEADLINE_S):
            while await self._is_busy():
                pass
        return {"cpu_us": (cpu_s(self._edge.pid) - before) / records * 1e6}

    async def _is_busy(self) -> bool:
        before = cpu_s(self._edge.pid)
        await asyncio.sleep(REST_S)
        return (cpu_s(self._edge.pid) - before) / REST_S > RESTING


class BareConsumer:
    """The client library's consumer, in this process."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def read(self, records: int) -> Figures:
        """Read the newest records, which the edge has read before."""
        partitions = self._consumer.assignment()
        missing = 0
        for partition, end in (await self._consumer.end_offsets(partitions)).items():
            start = max(0, end - records // len(partitions))
            self._consumer.seek(partition, start)
            missing += end - start
        total, before = missing, own_cpu_s()
        while missing > 0:
            batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_POLL_RECORDS)
            missing -= sum(len(found) for found in batches.values())
        return {"cpu_us": (own_cpu_s() - before) / total * 1e6}


async def run(rig: Rig, size: Size) -> list[Row]:
    """Compare both readers."""
    settings = KafkaSettings()
    edge, records = await rig.edge("edge-skimming"), size.of(RECORDS)
    async with (
        started_producer(settings) as producer,
        bare_consumer(settings, topics.MESSAGES) as consumer,
    ):
        ours, bare = Skimmer(edge, Backlog(settings, producer)), BareConsumer(consumer)
        compared = await compare(size.rounds, lambda: ours.read(records), lambda: bare.read(records))
    return [compared.row("CPU a record skimmed by an edge without its members", "cpu_us", "µs")]

"""From sending to receiving on another edge, at light load, and bare produce → consume at the same rate.

The bare side writes the same records with the same settings, into a topic of its own.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import NewTopic

from runtime.kafka import started_producer, write
from runtime.log_reader import MAX_POLL_RECORDS, POLL_MS
from runtime.settings import KafkaSettings
from schemas import topics
from schemas.client_events import ChatMessage
from schemas.log_records import MessageSent, encode
from tests.bench.processes import Rig, Size
from tests.bench.rounds import Figures, compare, percentile
from tests.bench.skimming import bare_consumer
from tests.bench.socket_clients import TEXT, Student, connect_all, require_ack, until
from tests.bench.table import Row
from tests.integration.backing import new_group, open_admin, open_log

GROUPS = 30
PER_S = 300
SECONDS = 4.0


class Times:
    """When each message was sent, acked and received, in seconds of one clock."""

    def __init__(self) -> None:
        self._sent: dict[str, float] = {}
        self.acks: list[float] = []
        self.deliveries: list[float] = []

    def sent(self, message_id: str, at: float) -> None:
        """A message was sent."""
        self._sent[message_id] = at

    def acked(self, at: float) -> None:
        """A message that was sent at ``at`` is acked now."""
        self.acks.append(time.perf_counter() - at)

    def received(self, message_id: str) -> None:
        """A message has come."""
        self.deliveries.append(time.perf_counter() - self._sent.pop(message_id))

    def figures(self) -> Figures:
        """Return the percentiles, in milliseconds."""
        return {
            f"{name}_p{share}": 1000 * percentile(values, share / 100)
            for name, values in (("ack", self.acks), ("delivery", self.deliveries))
            for share in (50, 99)
        }


async def in_rhythm(send: Callable[[int], None], messages: int) -> None:
    """Call ``send`` with 0, 1, 2, ... at an even rate, however long each takes."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    for n in range(messages):
        await asyncio.sleep(max(0.0, started + n / PER_S - loop.time()))
        send(n)


class TwoEdges:
    """Senders on one edge, and one member of all groups on the other."""

    def __init__(self, groups: list[str]) -> None:
        self._groups = groups
        self._senders = [Student(f"up{n:09d}", []) for n in range(len(groups))]
        self._receiver = Student("up999999999", [])
        self._times = Times()
        self._receiver.on_chat = self._received

    async def join(self) -> None:
        """Make all of them members, through the log."""
        async with open_log() as log:
            for student, group in zip(self._senders, self._groups, strict=True):
                await log.join(group, student.up, self._receiver.up)

    async def connect(self, one: str, other: str) -> None:
        """Connect the senders to one edge and the receiver to the other."""
        await connect_all(one, self._senders)
        await connect_all(other, [self._receiver])

    async def measure(self, messages: int) -> Figures:
        """Send in an even rhythm and wait until all is acked and received."""
        times = self._times = Times()
        await in_rhythm(self._send, messages)
        await until(
            lambda: len(times.deliveries) == len(times.acks) == messages, [self._receiver, *self._senders]
        )
        return times.figures()

    def _send(self, n: int) -> None:
        which = n % len(self._senders)
        started = time.perf_counter()

        def acked(answer: Any) -> None:
            require_ack(answer)
            self._times.acked(started)

        self._times.sent(self._senders[which].say(self._groups[which], acked), started)

    def _received(self, message: ChatMessage) -> None:
        self._times.received(message.id)


class BareKafka:
    """A producer and a consumer of the client library, in this process."""

    def __init__(
        self, settings: KafkaSettings, topic: str, producer: AIOKafkaProducer, consumer: AIOKafkaConsumer
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._producer = producer
        self._consumer = consumer
        self._sent = 0

    async def measure(self, messages: int) -> Figures:
        """Produce in an even rhythm and wait until all is acked and consumed."""
        times = Times()
        writes: set[asyncio.Task[None]] = set()
        reading = asyncio.create_task(self._read(times, messages))
        await in_rhythm(lambda n: writes.add(asyncio.create_task(self._write(n, times))), messages)
        await asyncio.gather(*writes, reading)
        return times.figures()

    async def _write(self, n: int, times: Times) -> None:
        self._sent += 1
        message_id = f"bench-{self._sent:010d}"
        group = f"g{n % GROUPS:012d}"
        message = MessageSent(
            id=message_id, group=group, up="up999999999", message=TEXT, sent_at=1_700_000_000_000
        )
        started = time.perf_counter()
        times.sent(message_id, started)
        record = encode(message, key=group, source="bench")
        await (await write(self._producer, self._topic, record, self._settings.kafka_partitions))
        times.acked(started)

    async def _read(self, times: Times, messages: int) -> None:
        while len(times.deliveries) < messages:
            batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_POLL_RECORDS)
            for records in batches.values():
                for record in records:
                    ce_id = dict(record.headers)["ce_id"]
                    times.received(ce_id.decode().partition("/")[2])


async def make_topic(settings: KafkaSettings, name: str) -> None:
    """Create a topic as ``chat.messages`` is."""
    async with open_admin(settings.kafka_bootstrap_servers) as admin:
        config = topics.ALL[topics.MESSAGES].config
        replicas = settings.kafka_replication_factor
        await admin.create_topics([NewTopic(name, settings.kafka_partitions, replicas, topic_configs=config)])


async def run(rig: Rig, size: Size) -> list[Row]:
    """Compare both ways."""
    ours = TwoEdges([new_group() for _ in range(GROUPS)])
    await ours.join()
    one, other = await rig.edge("edge-one"), await rig.edge("edge-other")
    await ours.connect(one.url, other.url)
    settings, topic = KafkaSettings(), f"bench.{new_group()}"
    await make_topic(settings, topic)
    messages = round(PER_S * SECONDS * size.scale)
    async with started_producer(settings) as producer, bare_consumer(settings, topic) as consumer:
        bare = BareKafka(settings, topic, producer, consumer)
        compared = await compare(size.rounds, lambda: ours.measure(messages), lambda: bare.measure(messages))
    return [
        compared.row(f"{what}, {PER_S}/s, p{share}", f"{figure}_p{share}", "ms")
        for what, figure in (("send → ack", "ack"), ("send → deliver on another edge", "delivery"))
        for share in (50, 99)
    ]

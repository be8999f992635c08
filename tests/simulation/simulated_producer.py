"""What writes into the log: producers, as far as our code uses aiokafka's, and the keeper of mortal ones."""

import asyncio
from asyncio import Future
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, OutOfOrderSequenceNumber, RequestTimedOutError
from aiokafka.structs import RecordMetadata

from runtime.kafka import KeptProducer
from runtime.settings import KafkaSettings
from schemas.log_records import Encoded, Headers
from tests.simulation.process import Process
from tests.simulation.simulated_log import Route, Sent, SimulatedLog


class SimulatedProducer:
    """A process's producer, as far as our code uses aiokafka's: acks=all, idempotent.

    Where it is ``mortal`` it may fail for good: what it was given is then said to have failed, whatever
    became of it, and so is all that it is given from then on. Where it is transactional, ``fence`` is its
    epoch.
    """

    REQUEST_TIMEOUT_S = 2.0

    def __init__(
        self, log: SimulatedLog, process: Process, *, mortal: bool = False, fence: int | None = None
    ) -> None:
        self._log = log
        self._process = process
        self._mortal = mortal
        self._fence = fence
        self._has_failed = False
        self._routes: dict[TopicPartition, Route] = {}
        self._unanswered: dict[Future[RecordMetadata], None] = {}

    async def send(
        self,
        topic: str,
        *,
        value: bytes | None,
        key: bytes,
        headers: Headers,
        partition: int,
    ) -> "Future[RecordMetadata]":
        """Send a record; the future says where it stands. It fails where no answer came in time."""
        return self._send(TopicPartition(topic, partition), [Encoded(key, value, list(headers))])

    async def begin_transaction(self) -> None:
        """A record is one by itself: no more than one is ever written in it."""

    async def commit_transaction(self) -> None:
        """As before."""

    def create_batch(self) -> "SimulatedBatch":
        """Return an empty batch."""
        return SimulatedBatch()

    async def send_batch(
        self, batch: "SimulatedBatch", topic: str, *, partition: int
    ) -> "Future[RecordMetadata]":
        """Send a batch; the future says where its first record stands."""
        return self._send(TopicPartition(topic, partition), batch.records)

    def _send(self, tp: TopicPartition, records: Sequence[Encoded]) -> "Future[RecordMetadata]":
        if self._has_failed:
            raise OutOfOrderSequenceNumber
        route = self._routes.get(tp)
        if route is None:
            route = self._routes[tp] = Route(self._log, self._process, tp)
        loop = asyncio.get_running_loop()
        answer: Future[RecordMetadata] = loop.create_future()
        self._unanswered[answer] = None
        answer.add_done_callback(self._unanswered.pop)
        route.send(Sent(records, answer, self._fence))
        loop.call_later(self.REQUEST_TIMEOUT_S, _fail, answer, RequestTimedOutError())
        if self._mortal and self._process.chance.producer_fails():
            loop.call_later(self._process.chance.delay(), self._fail_for_good)
        return answer

    def _fail_for_good(self) -> None:
        self._process.trace(f"the producer of {self._process.name} fails")
        self._has_failed = True
        for route in self._routes.values():
            route.failed = True
        for answer in tuple(self._unanswered):
            _fail(answer, OutOfOrderSequenceNumber())


class KeptSimulatedProducer(KeptProducer):
    """The production keeper of producers, which keeps mortal ones."""

    def __init__(self, log: SimulatedLog, process: Process, settings: KafkaSettings) -> None:
        super().__init__(settings)
        self._log = log
        self._process = process

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[Any]:
        await self._process.step()
        yield SimulatedProducer(self._log, self._process, mortal=True)
        await self._process.step()


class SimulatedBatch:
    """A batch as aiokafka makes it. It is soon full."""

    MAX_RECORDS: Final = 3

    def __init__(self) -> None:
        self.records: list[Encoded] = []

    def append(self, *, timestamp: int, key: bytes, value: bytes | None, headers: Headers) -> object:
        """Take a record; None: the batch is full."""
        if len(self.records) == self.MAX_RECORDS:
            return None
        self.records.append(Encoded(key, value, list(headers)))
        return True

    def close(self) -> None:
        """Take no more."""


def _fail(answer: "Future[RecordMetadata]", error: KafkaError) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()

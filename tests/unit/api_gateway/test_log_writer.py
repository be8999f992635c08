"""Writes are durable when they return, or refused in time."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, OutOfOrderSequenceNumber
from aiokafka.structs import RecordMetadata, TopicPartition
from pydantic import SecretStr

from api_gateway.log_writer import LogWriter, WrittenRecord
from api_gateway.settings import GatewaySettings
from runtime import metrics
from runtime.kafka import KeptProducer
from runtime.spans import Spans
from schemas.log_records import Encoded
from schemas.refusals import OVERLOADED, UNAVAILABLE, Refusal, Refused
from tests.counting import counting
from tests.unit.api_gateway.parts import until
from tests.unit.runtime.traced import Traced

RECORD = Encoded(b"maths", b"{}", [])
ELSEWHERE = Encoded(b"physics", b"{}", [])
"""Of another partition."""


class FakeProducer:
    """Answers when told to."""

    def __init__(self) -> None:
        self.sent: list[asyncio.Future[RecordMetadata]] = []
        self.error: Exception | None = None

    async def send(self, topic: str, *, partition: int, **_: Any) -> "asyncio.Future[RecordMetadata]":
        if self.error is not None:
            raise self.error
        self.sent.append(asyncio.get_running_loop().create_future())
        return self.sent[-1]

    def ack(self, number: int, offset: int) -> None:
        metadata = RecordMetadata("t", 3, TopicPartition("t", 3), offset, 99, 1, 0)
        self.sent[number].set_result(metadata)


def writer(producer: Any, spans: Spans | None = None, **settings: int) -> LogWriter:
    return LogWriter(GatewaySettings(token_secret=SecretStr("x" * 32), **settings), producer, spans)  # type: ignore[arg-type]


async def refusal_of(write: Any) -> Refusal:
    with pytest.raises(Refused) as refused:
        await write
    return refused.value.refusal


async def test_a_write_returns_where_its_records_stand_once_all_are_durable() -> None:
    producer = FakeProducer()
    writing = asyncio.create_task(writer(producer).write("t", RECORD, RECORD))
    await until(lambda: len(producer.sent) == 2)
    producer.ack(1, 8)
    await asyncio.sleep(0)
    assert not writing.done()
    producer.ack(0, 7)
    assert await writing == [WrittenRecord("t", 3, 7, 99), WrittenRecord("t", 3, 8, 99)]


async def test_without_a_producer_writes_are_refused_at_once() -> None:
    settings = GatewaySettings(token_secret=SecretStr("x" * 32))
    assert await refusal_of(LogWriter(settings, KeptProducer(settings)).write("t", RECORD)) is UNAVAILABLE


async def test_a_write_that_is_not_acked_in_time_is_refused_and_counts_as_pending_until_it_is() -> None:
    producer = FakeProducer()
    made = writer(producer, send_timeout_ms=100, refuse_when_waiting_ms=100)
    assert await refusal_of(made.write("t", RECORD)) is UNAVAILABLE
    assert await refusal_of(made.write("t", RECORD)) is UNAVAILABLE
    assert len(producer.sent) == 1
    producer.ack(0, 1)
    await asyncio.sleep(0)
    writing = asyncio.create_task(made.write("t", RECORD))
    await until(lambda: len(producer.sent) == 2)
    producer.ack(1, 2)
    assert [one.offset for one in await writing] == [2]


async def test_a_partition_that_does_not_answer_holds_up_its_own_groups_alone() -> None:
    producer = FakeProducer()
    made = writer(producer, send_timeout_ms=60_000, shutdown_deadline_s=101, refuse_when_waiting_ms=100)
    stuck = asyncio.create_task(made.write("t", RECORD))
    await until(lambda: producer.sent)
    over = asyncio.get_running_loop().time() + 0.1
    await until(lambda: asyncio.get_running_loop().time() > over)
    assert await refusal_of(made.write("t", RECORD)) is UNAVAILABLE
    assert await refusal_of(made.write("t", ELSEWHERE, RECORD)) is UNAVAILABLE
    others = [asyncio.create_task(made.write(*what)) for what in (("t", ELSEWHERE), ("u", RECORD))]
    await until(lambda: len(producer.sent) == 3)
    producer.ack(1, 7)
    producer.ack(2, 8)
    assert [one.offset for (one,) in await asyncio.gather(*others)] == [7, 8]
    producer.ack(0, 9)
    await stuck


async def test_writes_past_the_bound_are_refused_as_overload() -> None:
    producer = FakeProducer()
    made = writer(producer, max_pending_writes=2)
    writing = asyncio.create_task(made.write("t", RECORD))
    await until(lambda: producer.sent)
    hits = counting(metrics.LIMIT_HITS.labels(limit="writes"))
    assert await refusal_of(made.write("t", RECORD, RECORD)) is OVERLOADED
    assert hits() == 1
    producer.ack(0, 1)
    await writing


@pytest.mark.parametrize("error", [OutOfOrderSequenceNumber(), KafkaConnectionError(), OSError()])
async def test_a_write_that_the_producer_does_not_take_is_refused_and_not_pending(error: Exception) -> None:
    producer = FakeProducer()
    producer.error = error
    made = writer(producer, max_pending_writes=1)
    assert await refusal_of(made.write("t", RECORD)) is UNAVAILABLE
    assert await refusal_of(made.write("t", RECORD)) is UNAVAILABLE


async def test_the_span_of_a_write_that_the_producer_does_not_take_ends() -> None:
    producer, traced = FakeProducer(), Traced()
    producer.error = OutOfOrderSequenceNumber()
    assert await refusal_of(writer(producer, traced.spans).write("t", RECORD)) is UNAVAILABLE
    (span,) = traced.ended
    assert (span.attributes or {})["error.type"] == "OutOfOrderSequenceNumber"


async def test_an_error_that_comes_as_an_answer_is_a_refusal_too() -> None:
    producer = FakeProducer()
    made = writer(producer)
    writing = asyncio.create_task(made.write("t", RECORD))
    await until(lambda: producer.sent)
    producer.sent[0].set_exception(OutOfOrderSequenceNumber())
    assert await refusal_of(writing) is UNAVAILABLE


async def test_a_write_of_many_records_that_fails_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    producer = FakeProducer()
    writing = asyncio.create_task(writer(producer).write("t", RECORD, RECORD, RECORD))
    await until(lambda: len(producer.sent) == 3)
    for sent in producer.sent:
        sent.set_exception(OutOfOrderSequenceNumber())
    assert await refusal_of(writing) is UNAVAILABLE
    said = [one for one in caplog.records if one.name == "api_gateway.log_writer"]
    assert [(one.levelname, one.message) for one in said] == [("ERROR", "a write failed")]
    assert said[0].facts["topic"] == "t"  # type: ignore[attr-defined]

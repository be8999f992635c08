"""A producer that has failed for good is replaced, once, and nobody else's error replaces it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    TopicAuthorizationFailedError,
)

from edge_server.message_writer import MessageWriter, Outgoing
from runtime import kafka, metrics
from runtime.aiokafka_mends import METADATA_AT_ONCE, METADATA_PER_S
from runtime.kafka import KeptProducer, new_producer
from runtime.settings import KafkaSettings
from tests.counting import counting
from tests.unit.edge_server.producers import Producer
from tests.waiting import in_background, passes

FOR_GOOD = [
    ProducerFenced(),
    OutOfOrderSequenceNumber(),
    KafkaError("Unexpected error during batch delivery"),
]
IN_PASSING = [KafkaConnectionError(), KafkaTimeoutError(), TopicAuthorizationFailedError(), OSError()]


class MortalProducer(Producer):
    """As of aiokafka: starts, and stops when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.may_stop = asyncio.Event()

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        await self.may_stop.wait()


@asynccontextmanager
async def kept(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[KeptProducer, list[MortalProducer]]]:
    """Keep a producer; also yields all that were made."""
    made: list[MortalProducer] = []

    def make(*_: Any, **__: Any) -> MortalProducer:
        made.append(MortalProducer())
        return made[-1]

    monkeypatch.setattr(kafka, "new_producer", make)
    producer = KeptProducer(KafkaSettings())
    async with in_background(producer.run()):
        await producer.ready()
        yield producer, made
        for one in made:
            one.may_stop.set()


async def send(producer: KeptProducer) -> "asyncio.Future[Any]":
    batch = producer.create_batch()
    batch.append(timestamp=1, key=b"g", value=b"v", headers=[])
    return await producer.send_batch(batch, "chat.messages", partition=0)


@pytest.mark.parametrize("error", FOR_GOOD, ids=repr)
async def test_one_that_failed_for_good_by_an_answer_is_replaced_and_counted(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with kept(monkeypatch) as (producer, made):
        rebuilds = counting(metrics.PRODUCER_REBUILDS)
        (await send(producer)).set_exception(error)
        made[0].may_stop.set()
        await passes()
        assert (len(made), rebuilds()) == (2, 1)
        await send(producer)
        assert len(made[1].sent) == 1


async def test_one_whose_sender_is_dead_is_replaced_when_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    async with kept(monkeypatch) as (producer, made):
        made[0].error = OutOfOrderSequenceNumber()
        made[0].may_stop.set()
        with pytest.raises(OutOfOrderSequenceNumber):
            await send(producer)
        await passes()
        assert len(made) == 2


@pytest.mark.parametrize("error", IN_PASSING, ids=repr)
async def test_one_whose_error_passes_stays(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    async with kept(monkeypatch) as (producer, made):
        (await send(producer)).set_exception(error)
        (await send(producer)).cancel()
        await passes()
        await send(producer)
        assert len(made[0].sent) == 3


async def test_while_one_is_replaced_nothing_is_sent_through_the_failed_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with kept(monkeypatch) as (producer, made):
        (await send(producer)).set_exception(ProducerFenced())
        await passes()
        with pytest.raises(ProducerClosed):
            await producer.send("chat.users")
        assert (len(made), len(made[0].sent)) == (1, 1)


async def test_a_late_error_of_the_old_one_does_not_end_its_successor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with kept(monkeypatch) as (producer, made):
        first, second = await send(producer), await send(producer)
        first.set_exception(ProducerFenced())
        made[0].may_stop.set()
        await passes()
        second.set_exception(ProducerFenced())
        await passes()
        await send(producer)
        assert (len(made), len(made[1].sent)) == (2, 1)


async def test_what_waited_behind_a_failed_batch_goes_through_the_next_producer_in_its_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed: list[Outgoing] = []
    written: list[Outgoing] = []

    async with kept(monkeypatch) as (producer, made):
        writer = MessageWriter(
            producer,
            source="edge-1",
            on_written=lambda batch, *_: written.extend(batch),
            on_failed=lambda batch, _: failed.extend(batch),
            rounds_per_s=1e9,
        )
        messages = [Outgoing(0, b"g", b"g/up202000001/m%d" % number, b"%d" % number) for number in range(4)]
        writer.put(messages[0])
        await passes()
        writer.put(messages[1])
        made[0].sent[0].answer.set_exception(OutOfOrderSequenceNumber())
        await passes()
        writer.put(messages[2])
        await passes()
        assert failed == messages[:1]
        assert (len(made), len(made[0].sent)) == (1, 1)
        made[0].may_stop.set()
        await passes()
        assert [sent.values for sent in made[1].sent] == [[b"1", b"2"]]
        writer.put(messages[3])
        made[1].sent[0].written(0)
        await passes()
        made[1].sent[1].written(2)
        await passes()
        assert (failed, written) == (messages[:1], messages[1:])


async def test_a_client_whose_start_is_cancelled_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has connections and a task that asks for metadata, for ever."""

    class Starting(MortalProducer):
        async def start(self) -> None:
            starting.set()
            await asyncio.Event().wait()

        async def stop(self) -> None:
            stopped.set()

    starting, stopped = asyncio.Event(), asyncio.Event()
    monkeypatch.setattr(kafka, "new_producer", lambda *_, **__: Starting())
    using = asyncio.create_task(kafka.started_producer(KafkaSettings()).__aenter__())
    await starting.wait()
    using.cancel()
    await asyncio.wait({using})
    assert using.cancelled()
    assert stopped.is_set()


async def test_a_service_stops_though_its_producer_cannot_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """While Kafka is away that may last for longer than any deadline of a stop."""
    monkeypatch.setattr(kafka, "STOP_HANGS_AFTER_S", 0.01)
    one = MortalProducer()
    monkeypatch.setattr(kafka, "new_producer", lambda *_, **__: one)
    keeper = KeptProducer(KafkaSettings())
    running = asyncio.create_task(keeper.run())
    await keeper.ready()
    running.cancel()
    await asyncio.wait({running}, timeout=30)
    stopped = running.done()
    one.may_stop.set()
    await asyncio.wait({running})
    assert stopped


async def test_a_producer_asks_seldom_who_leads_a_partition_that_nobody_leads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = 0

    async def answer(*_: Any) -> bool:
        nonlocal asked
        asked += 1
        return True

    monkeypatch.setattr(AIOKafkaClient, "_metadata_update", answer)
    loop = asyncio.get_running_loop()
    client = new_producer(KafkaSettings()).client
    looking = asyncio.create_task(client._md_synchronizer())
    began = loop.time()
    while loop.time() - began < 1.0:
        await client.force_metadata_update()
    assert 1 <= asked <= METADATA_AT_ONCE + (loop.time() - began) * METADATA_PER_S + 1
    looking.cancel()
    await asyncio.wait({looking})

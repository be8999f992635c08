"""A client of Kafka that hangs while it stops delays nobody, and is never cut short."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError

from runtime.kafka import stop_within


async def test_a_client_that_does_not_stop_in_time_goes_on_stopping() -> None:
    class Hanging:
        async def stop(self) -> None:
            await back.wait()
            closed.set()

    back, closed = asyncio.Event(), asyncio.Event()
    client: Any = Hanging()
    await stop_within(client, 0.01)
    assert not closed.is_set()
    back.set()
    async with asyncio.timeout(30):
        await closed.wait()


@pytest.mark.parametrize("in_time", [True, False])
async def test_a_consumer_whose_stop_is_ended_by_a_fetch_that_pauses_keeps_no_connection(
    in_time: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Leaving:
        async def close(self) -> None:
            await left.wait()

    class Pausing:
        async def close(self) -> None:
            pause = asyncio.create_task(asyncio.sleep(3600))
            await asyncio.sleep(0)
            pause.cancel()
            await pause

    left, closed = asyncio.Event(), asyncio.Event()

    async def close() -> None:
        closed.set()

    consumer = AIOKafkaConsumer()
    monkeypatch.setattr(consumer, "_coordinator", Leaving())
    monkeypatch.setattr(consumer, "_fetcher", Pausing())
    monkeypatch.setattr(consumer._client, "close", close)
    if in_time:
        left.set()
    await stop_within(consumer, 30.0 if in_time else 0.01)
    assert closed.is_set() is in_time
    left.set()
    async with asyncio.timeout(30):
        await closed.wait()


async def test_an_error_of_a_client_that_stops_is_raised() -> None:
    class Failing:
        async def stop(self) -> None:
            raise KafkaConnectionError

    client: Any = Failing()
    with pytest.raises(KafkaConnectionError):
        await stop_within(client, 30.0)

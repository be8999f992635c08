"""A client of Kafka that hangs while it stops delays nobody, and is never cut short."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError

from runtime import kafka
from runtime.kafka import STOP_HANGS_AFTER_S, stop_soon
from tests.unit.deploy.known_settings import SETTINGS


async def test_a_client_that_does_not_stop_in_time_goes_on_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging:
        async def stop(self) -> None:
            await back.wait()
            closed.set()

    back, closed = asyncio.Event(), asyncio.Event()
    client: Any = Hanging()
    monkeypatch.setattr(kafka, "STOP_HANGS_AFTER_S", 0.01)
    await stop_soon(client)
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
    monkeypatch.setattr(kafka, "STOP_HANGS_AFTER_S", 30.0 if in_time else 0.01)
    await stop_soon(consumer)
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
        await stop_soon(client)


@pytest.mark.parametrize("service", SETTINGS)
def test_a_client_that_hangs_is_left_before_the_stop_of_its_service_is(service: str) -> None:
    told = {name: field.get_default() for name, field in SETTINGS[service].model_fields.items()}
    before_s = told.get("drain_deadline_s", 0.0) + told.get("settle_on_stop_ms", 0) / 1000
    assert before_s + STOP_HANGS_AFTER_S < told["shutdown_deadline_s"]

"""A client of Kafka that hangs while it stops delays nobody, and is never cut short."""

import asyncio
from typing import Any

import pytest
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


async def test_an_error_of_a_client_that_stops_is_raised() -> None:
    class Failing:
        async def stop(self) -> None:
            raise KafkaConnectionError

    client: Any = Failing()
    with pytest.raises(KafkaConnectionError):
        await stop_within(client, 30.0)

"""A gateway that is told to stop takes nothing new, and answers what is under way."""

import asyncio
import socket
import time
from urllib.parse import urlsplit

from prometheus_client import REGISTRY

from deploy.local.backing import RunningBacking
from tests.integration.api_gateway.gateways import Answer, Gateway, gateway
from tests.integration.backing import away, new_group, new_up
from tests.waiting import eventually

WRITES = 20


def begin(here: Gateway) -> "list[asyncio.Task[Answer]]":
    new = [{"id": new_group(), "name": "Maths", "users": [new_up()]} for _ in range(WRITES)]
    return [asyncio.create_task(here.as_solution("POST", "/group/", one)) for one in new]


def value_of(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


def takes_nothing_new(here: Gateway) -> bool:
    url = urlsplit(here.internal.url)
    with socket.socket() as connection:
        return connection.connect_ex((url.hostname, url.port)) != 0


async def test_writes_that_kafka_has_yet_to_take_are_answered_when_it_has(backing: RunningBacking) -> None:
    async with gateway(
        mongodb_database=f"nobody_{time.time_ns()}",
        send_timeout_ms=60_000,
        refuse_when_waiting_ms=60_000,
        shutdown_deadline_s=120,
    ) as here:
        async with away(backing.kafka, "frozen"):
            writes = begin(here)
            await eventually("they wait", lambda: value_of("chat_gateway_pending_writes") == WRITES)
            closing = asyncio.create_task(here.service.resources.aclose())
            await eventually("it takes nothing new", lambda: takes_nothing_new(here))
        answers = await asyncio.gather(*writes)
        await closing
    assert {(one.status, one.said["stored"]) for one in answers} == {(202, False)}


async def test_writes_that_wait_until_they_are_stored_are_answered_at_once(backing: RunningBacking) -> None:
    acked = value_of("chat_gateway_write_ack_seconds_count")
    async with gateway(mongodb_database=f"nobody_{time.time_ns()}", wait_stored_ms=3_600_000) as here:
        writes = begin(here)
        # Two records each: the group, and who is in it.
        await eventually(
            "they are durable", lambda: value_of("chat_gateway_write_ack_seconds_count") >= acked + 2 * WRITES
        )
        await here.service.resources.aclose()
        answers = await asyncio.gather(*writes)
    assert {(one.status, one.said["stored"]) for one in answers} == {(202, False)}

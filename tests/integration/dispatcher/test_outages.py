"""Kafka goes and comes back: the table stays, and nobody is declared dead for what could not be heard."""

import asyncio
from pathlib import Path

import pytest

from deploy.local.backing import RunningBacking
from deploy.local.kafka_in_memory import InMemoryKafka, missing_for_in_memory_kafka
from tests.integration.backing import away
from tests.integration.dispatcher.dispatchers import World, world
from tests.waiting import eventually

pytestmark = pytest.mark.backing

AWAY_S = 9.0
"""Three times as long as an edge may be silent, and longer than a session of the group."""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("durable")
async def test_outages_of_kafka_move_nobody(here: World, backing: RunningBacking) -> None:
    dispatcher = here.start()
    here.edges.report("a", "b", "c")
    before = await here.until_held_by("a", "b", "c")
    for outage in ("stopped", "frozen"):
        async with away(backing.kafka, outage):
            long_enough = asyncio.create_task(asyncio.sleep(AWAY_S))
            await dispatcher.until("is not ready", lambda body: body["status"] == "failing", "/readyz")
            assert (await dispatcher.get("/healthz"))[0] == 200
            await long_enough
        await dispatcher.until("is ready", lambda body: body["status"] == "ok", "/readyz")
        rounds = here.edges.rounds
        await eventually("edges report again", lambda: here.edges.rounds >= rounds + 8)  # noqa: B023
        assert {(table.shards, tuple(table.urls)) for table in here.tables.all[-1:]} == {
            (before.shards, tuple(before.urls))
        }
        since = here.tables.all[here.tables.all.index(before) :]
        assert all(table.shards == before.shards for table in since)

    here.edges.silence("a")
    await here.until_held_by("b", "c")


@pytest.mark.skipif(missing_for_in_memory_kafka() is not None, reason="no broker in memory here")
async def test_it_runs_alone_on_the_broker_without_transactions_and_says_so(tmp_path: Path) -> None:
    kafka = InMemoryKafka(tmp_path)
    await asyncio.to_thread(kafka.start)
    try:
        env = {"KAFKA_BOOTSTRAP_SERVERS": kafka.address, "KAFKA_DURABLE": "false"}
        async with world(tmp_path, env) as here:
            dispatcher = here.start()
            here.edges.report("a", "b")
            await here.until_held_by("a", "b")
            here.edges.silence("a")
            await here.until_held_by("b")
            assert "never run a second dispatcher" in dispatcher.log()
    finally:
        await asyncio.to_thread(kafka.close)

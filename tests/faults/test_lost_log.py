"""The log drops what a client has yet to read: it is told of the hole, and history has what is missing."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete

from deploy.demo.service_process import ServiceProcess
from deploy.local.processes import wait_until
from persister.progress import read_progress
from runtime.mongo import open_store
from runtime.settings import KafkaSettings
from schemas import topics
from tests.faults.crowd import mongo_settings, open_crowd
from tests.faults.outcomes import Outcome
from tests.faults.stage import Stage
from tests.integration.backing import open_admin
from tests.waiting import eventually

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(600)]


PARTITIONS = [TopicPartition(topics.MESSAGES, n) for n in range(KafkaSettings().kafka_partitions)]


async def until_all_is_stored(stage: Stage) -> None:
    """Wait until the store has got to the end of the log, to which nobody writes now."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stage.broker.address)
    await consumer.start()
    try:
        ends = await consumer.end_offsets(PARTITIONS)
    finally:
        await consumer.stop()
    async with open_store(mongo_settings(stage.system)) as store:

        async def stored() -> bool:
            progress = await read_progress(store)
            return all(progress.get(tp, 0) >= ends[tp] for tp in PARTITIONS)

        await eventually("all is stored", stored)


async def drop_everything(stage: Stage) -> None:
    """Let retention take all messages that are in the log now."""
    async with open_admin(stage.broker.address) as admin:
        all_of_it = RecordsToDelete(before_offset=-1)
        await admin.delete_records(dict.fromkeys(PARTITIONS, all_of_it))


async def restart(*services: ServiceProcess) -> None:
    await asyncio.gather(*(asyncio.to_thread(service.start) for service in services))


async def test_retention_past_a_cursor_is_a_hole_that_clients_are_told_of(
    stage: Stage, seed: int, outcome: Outcome
) -> None:
    """retention past the clients' cursors, while all edges restart"""
    edges = stage.system.edges
    async with open_crowd(stage.system, seed) as crowd:
        async with crowd.chatting():
            await crowd.probe()
            # What edge-1's clients miss of edge-2's is in the log, and dropped before edge-1 is back.
            await asyncio.to_thread(edges[0].kill)
            for group in crowd.groups:
                crowd.say(group, "missed by some")
        # What the log drops before it was acked is said again, and nobody can know it by then.
        await crowd.until_acked()
        await asyncio.to_thread(edges[1].kill)
        await until_all_is_stored(stage)
        await drop_everything(stage)
        await restart(*edges)
        # A member who is let in later may have a hole where a probe was: let all be in first.
        for student in crowd.by_up.values():
            await student.joined.wait()
        outcome.recovered_s.append(await crowd.probe())
        said = await crowd.judge()
        holes = sum(len(student.holes) for student in crowd.by_up.values())
        outcome.counts["holes told of"] = holes
        assert holes > 0
        outcome.checked = said


async def test_an_edge_from_which_the_log_takes_what_it_has_yet_to_read_ends_and_says_why(
    stage: Stage, seed: int, outcome: Outcome
) -> None:
    """retention past what an edge that hangs has yet to read"""
    edge = stage.system.edges[0]
    async with open_crowd(stage.system, seed) as crowd:
        await crowd.probe()
        await crowd.until_acked()
        await asyncio.to_thread(edge.freeze)
        for _ in range(3):
            # One answer to the edge may be under way: what comes later cannot be in it.
            for group in crowd.groups:
                crowd.say(group, "not read by one edge")
            await asyncio.sleep(0.5)
        await crowd.until_nothing_is_acked()
        await until_all_is_stored(stage)
        await drop_everything(stage)
        await asyncio.to_thread(edge.thaw)
        await asyncio.to_thread(wait_until, lambda: not edge.alive, 60.0, "it has ended")
        assert edge.returncode == 1
        assert "no longer holds what this reader has yet to read" in "\n".join(edge.last_log_lines())
        await restart(edge)
        for student in crowd.by_up.values():
            await student.joined.wait()
        outcome.recovered_s.append(await crowd.probe())
        outcome.checked = await crowd.judge()


async def test_services_refuse_another_number_of_partitions(
    stage: Stage, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """a changed number of partitions"""
    services = [stage.system.services[name] for name in ("edge-2", "persister", "api_gateway")]
    for service in services:
        await asyncio.to_thread(service.stop)
        monkeypatch.setattr(service, "env", {**service.env, "KAFKA_PARTITIONS": "7"})
        service.launch()
    for service in services:
        await asyncio.to_thread(wait_until, lambda: not service.alive, 60.0, "it has ended")  # noqa: B023
        assert service.returncode == 1
        said = "\n".join(service.last_log_lines())
        assert "has 12 partitions, not 7: the number of partitions must never change in place" in said
    monkeypatch.undo()
    outcome.checked = "each ended with status 1 and said why"

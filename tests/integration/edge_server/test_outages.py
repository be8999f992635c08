"""The log goes away and comes back; clients don't read; edges stop: nothing that was acked is lost."""

import asyncio
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from deploy.local.backing import RunningBacking
from edge_server import cut_off
from runtime import kafka
from runtime.kafka import new_producer
from runtime.settings import KafkaSettings
from schemas import topics
from tests.integration.backing import Log, away, new_group, new_up
from tests.integration.edge_server.edges import ChatClient, edge, ready
from tests.waiting import eventually

REFUSED = 4
"""Each waits for the whole of its timeout."""


async def say_until_acked(client: ChatClient, group: str, text: str) -> tuple[int, list[str]]:
    """Do what a good client does: retry with the same id. Returns the seq and the refusals on the way."""
    refusals: list[str] = []
    while True:
        answer: dict[str, Any] = await client.say(group, text, id=f"id-{text}")
        if "seq" in answer:
            return int(answer["seq"]), refusals
        refusals.append(answer["error"]["code"])
        await asyncio.sleep(0.1)


@pytest.mark.usefixtures("durable")
@pytest.mark.parametrize("outage", ["stopped", "frozen"])
async def test_without_kafka_sends_are_refused_and_nothing_acked_is_lost(
    backing: RunningBacking, log: Log, outage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Until the broker has started again it may take so long that clients have to connect anew.
    monkeypatch.setattr(cut_off, "CUT_OFF_AFTER_S", 3600.0)
    group = new_group()
    async with edge(send_timeout_ms=1500, refuse_when_waiting_ms=500) as one, edge() as two:
        speaker = await ready(log, group, ChatClient(new_up()), one)
        listener = await ready(log, group, ChatClient(new_up()), two)
        await speaker.say(group, "before")
        refused: list[str] = []
        async with away(backing.kafka, outage):
            for n in range(REFUSED):
                answer = await speaker.say(group, f"away-{n}", id=f"id-away-{n}")
                refused.append(answer["error"]["code"])
        assert refused == ["unavailable"] * REFUSED
        for n in range(REFUSED):
            await say_until_acked(speaker, group, f"away-{n}")
        await say_until_acked(speaker, group, "after")
        await listener.heard("after")
        await speaker.heard("after")
        for client in (speaker, listener):
            assert sorted(client.texts) == sorted(["before", *(f"away-{n}" for n in range(REFUSED)), "after"])
            assert client.texts == speaker.texts


async def test_clients_of_an_edge_that_is_cut_off_from_the_log_are_closed_once_in_each_outage(
    backing: RunningBacking, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cut_off, "CUT_OFF_AFTER_S", 3.0)
    group = new_group()
    async with edge() as one:
        client = await ready(log, group, ChatClient(new_up()), one)
        for outage in ("first", "second"):
            await eventually("it is well", lambda: not one.service.health.faults(readiness=True))
            async with away(backing.kafka, "frozen"):
                await eventually("everybody is closed", lambda: one.connected() == 0)
                assert "taken no report" in one.service.health.faults(readiness=True)["log"]
                client = await ChatClient(client.up).connect(one, since={group: -1})
                await asyncio.sleep(2.0)
                assert client.disconnects == 0, "who was sent here again stays"
            await say_until_acked(client, group, outage)
            await client.heard(outage)


@pytest.mark.usefixtures("durable")
async def test_after_its_producer_has_failed_for_good_an_edge_writes_through_another(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    group, made = new_group(), list[Any]()

    def make(*args: Any, **more: Any) -> Any:
        made.append(new_producer(*args, **more))
        return made[-1]

    async with edge() as two:
        monkeypatch.setattr(kafka, "new_producer", make)
        async with edge() as one:
            speaker = await ready(log, group, ChatClient(new_up()), one)
            listener = await ready(log, group, ChatClient(new_up()), two)
            await speaker.say(group, "before")
            for partition in range(KafkaSettings().kafka_partitions):
                made[0]._txn_manager.increment_sequence_number(TopicPartition(topics.MESSAGES, partition), 1)
            _, refused = await say_until_acked(speaker, group, "failed")
            _, refused_later = await say_until_acked(speaker, group, "after")
            await listener.got("before", "failed", "after")
            assert (refused, refused_later, len(made)) == (["unavailable"], [], 2)


async def test_a_client_that_does_not_read_is_closed_and_its_neighbours_do_not_notice(log: Log) -> None:
    group = new_group()
    # More than the reader may have to catch up on: it lives in the edge's own loop here.
    async with edge(max_buffered_bytes=1_048_576, messages_burst_per_user=1_000_000) as one:
        reader = await ready(log, group, ChatClient(new_up()), one, transports=["websocket"])
        lazy = await ready(log, group, ChatClient(new_up()), one, transports=["websocket"])
        lazy.stop_reading()
        sent = 0
        while one.connected() == 2:
            await asyncio.gather(*(reader.say(group, "x" * 16_000) for _ in range(20)))
            sent += 20
            assert sent < 20_000, "the lazy client was never closed"
        await reader.has(sent)
        assert len(reader.messages) == sent


async def test_an_edge_that_stops_settles_what_is_on_its_way_and_its_clients_resume_elsewhere(
    log: Log,
) -> None:
    group = new_group()
    async with edge() as two:
        async with edge() as one:
            speaker = await ready(log, group, ChatClient(new_up()), one)
            listener = await ready(log, group, ChatClient(new_up()), one)
            acks = [asyncio.create_task(speaker.say(group, str(n))) for n in range(50)]
            await listener.has(1)
        await eventually("both were told to go", lambda: speaker.disconnects + listener.disconnects == 2)
        acked = [task.result()["seq"] for task in acks if task.done() and not task.exception()]
        for task in acks:
            task.cancel()
        again = ChatClient(listener.up)
        await again.connect(two, since={group: listener.messages[-1]["seq"]})
        for n in range(50):
            await say_until_acked(again, group, f"again-{n}")
        await again.heard("again-49")
        seqs = [message["seq"] for message in listener.messages + again.messages]
        assert seqs == sorted(set(seqs))
        assert set(acked) <= set(seqs)


async def test_an_edge_that_stops_while_kafka_is_frozen_waits_for_no_deadline(
    backing: RunningBacking, log: Log
) -> None:
    group = new_group()
    try:
        async with edge(shutdown_deadline_s=90.0, kafka_request_timeout_ms=4_000) as one:
            speaker = await ready(log, group, ChatClient(new_up()), one)
            await asyncio.to_thread(backing.kafka.freeze)
            assert (await speaker.say(group, "lost"))["error"]["code"] == "unavailable"
            await speaker.disconnect()
        assert one.service.failure is None
    finally:
        await asyncio.to_thread(backing.kafka.thaw)

"""The brokers get other addresses, all of them, while services run."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from deploy.local.kafka_native import missing_for_native_kafka, plan_cluster
from runtime.kafka import started_consumer, started_producer
from runtime.kafka_topics import ensure_topics
from runtime.settings import KafkaSettings
from schemas import topics

pytestmark = [pytest.mark.backing, pytest.mark.timeout(300)]

TOPIC = topics.MESSAGES


@pytest.mark.skipif(missing_for_native_kafka() is not None, reason="it needs a broker of its own")
async def test_brokers_that_have_moved_are_looked_for_where_clients_were_told_at_the_start(
    tmp_path: Path,
) -> None:
    # The same broker before and after: a folder that was used before keeps its data.
    (before,), (after,) = plan_cluster(tmp_path, 1), plan_cluster(tmp_path, 1)
    settings = KafkaSettings(kafka_bootstrap_servers=f"nowhere.invalid:9092,{before.address},{after.address}")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, after.close)
        stack.push_async_callback(asyncio.to_thread, before.close)
        await asyncio.to_thread(before.start)
        await ensure_topics(settings, [TOPIC])
        producer = await stack.enter_async_context(started_producer(settings))
        member = await stack.enter_async_context(
            started_consumer(settings, TOPIC, group_id="persister", auto_offset_reset="earliest")
        )
        await producer.send_and_wait(TOPIC, b"before", partition=0)
        assert (await member.getone()).value == b"before"
        await asyncio.to_thread(before.stop)
        await asyncio.to_thread(after.start)
        # Each ends by a timeout of its own where it finds no broker.
        assert (await producer.send_and_wait(TOPIC, b"after", partition=0)).offset == 1
        assert await member.end_offsets([TopicPartition(TOPIC, 0)]) == {TopicPartition(TOPIC, 0): 2}
        # It begins anew, as nothing was committed.
        assert [(await member.getone()).value for _ in range(2)] == [b"before", b"after"]

"""One partition has no leader any more: what the other partitions hold is read on, by every reader."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.local.kafka_native import native_kafka_cluster
from runtime import log_reader
from runtime.kafka import started_producer
from runtime.kafka_topics import ensure_topics
from runtime.log_reader import LogReader
from runtime.settings import KafkaSettings
from schemas import topics
from tests.faults.stage import require_native
from tests.integration.backing import open_admin
from tests.waiting import eventually, in_background

pytestmark = [
    pytest.mark.backing,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("long_only"),
]

REQUEST_TIMEOUT_MS: Final = 3_000
CHECK_EVERY_S: Final = 1.0
WATCHED_S: Final = 2 * (CHECK_EVERY_S + REQUEST_TIMEOUT_MS / 1000)
"""The reader asks twice meanwhile where all partitions end, and hears nothing of the one."""


async def test_what_the_other_partitions_hold_is_read_while_one_has_no_leader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_native()
    monkeypatch.setattr(log_reader, "PROGRESS_CHECK_S", CHECK_EVERY_S)
    with native_kafka_cluster(tmp_path, 3) as brokers:
        settings = KafkaSettings(
            kafka_bootstrap_servers=",".join(broker.address for broker in brokers),
            kafka_partitions=6,
            kafka_request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        await ensure_topics(settings, [topics.MESSAGES])
        leaders = await leaders_of(settings)
        healthy = next(partition for partition, leader in leaders.items() if leader != leaders[0])
        read: list[int] = []

        def take(partition: int, records: Any) -> None:
            if partition == healthy:
                read.extend(record.offset for record in records)

        reader = LogReader(settings, topics.MESSAGES, take)
        async with in_background(reader.run()):
            await reader.caught_up.wait()
            async with started_producer(settings) as producer:
                await asyncio.to_thread(brokers[leaders[0] - 1].kill)
                loop = asyncio.get_running_loop()
                until = loop.time() + WATCHED_S
                while loop.time() < until:
                    sent = await producer.send_and_wait(
                        settings.topic(topics.MESSAGES), b"x", partition=healthy
                    )
                    await eventually("it is read", partial(read.__contains__, sent.offset))
                    await asyncio.sleep(0.2)


async def leaders_of(settings: KafkaSettings) -> dict[int, int]:
    """Return which broker leads each partition, as soon as every one has a leader."""
    async with open_admin(settings.kafka_bootstrap_servers) as admin:
        while True:
            (described,) = await admin.describe_topics([settings.topic(topics.MESSAGES)])
            leaders = {one["partition"]: one["leader"] for one in described["partitions"]}
            if len(leaders) == settings.kafka_partitions and min(leaders.values()) > 0:
                return leaders
            await asyncio.sleep(0.2)

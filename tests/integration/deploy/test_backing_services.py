"""The backing services of this machine really start, serve, die and come back."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerFenced, UnknownError

from deploy.local.backing import RunningBacking, backing_services
from deploy.local.kafka_in_memory import missing_for_in_memory_kafka
from deploy.local.kafka_native import missing_for_native_kafka, native_kafka_cluster
from deploy.local.store_process import StoreProcess, missing_for_store, mongodb_uri
from deploy.repository import REPOSITORY
from tests.integration.deploy.backing_round_trips import insert, make_topic, produce, read_all, stored_ids

pytestmark = [pytest.mark.backing, pytest.mark.timeout(300)]

VALUES = [b"one", b"two", b"three"]


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBacking]:
    skip_unless_possible(missing_for_native_kafka() or missing_for_store())
    with backing_services(tmp_path_factory.mktemp("native"), environ={"BACKING": "native"}) as running:
        yield running


@pytest.fixture(scope="module")
def in_memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBacking]:
    skip_unless_possible(missing_for_in_memory_kafka() or missing_for_store())
    with backing_services(tmp_path_factory.mktemp("pip"), environ={"BACKING": "pip"}) as running:
        yield running


def skip_unless_possible(missing: str | None) -> None:
    if missing is not None:
        pytest.skip(missing)


async def test_native_kafka_orders_stamps_and_gives_back_records(native: RunningBacking) -> None:
    bootstrap = native.kafka.address
    assert native.kafka_durable
    await make_topic(bootstrap, "stamped", {"message.timestamp.type": "LogAppendTime"})
    assert await produce(bootstrap, "stamped", VALUES, idempotent=True) == [0, 1, 2]
    records = await read_all(bootstrap, "stamped")
    assert [record.value for record in records] == VALUES
    assert all(record.timestamp > 1 for record in records), "the broker's time, not the producer's"
    assert records[0].headers == (("ce_type", b"test"),)


async def test_native_kafka_compacts_where_it_is_asked_to(native: RunningBacking) -> None:
    bootstrap = native.kafka.address
    await make_topic(bootstrap, "table", {"cleanup.policy": "compact"}, partitions=1)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        # The client library has no name for INVALID_RECORD.
        with pytest.raises(UnknownError):
            await producer.send_and_wait("table", b"a compacted topic takes no record without a key")
    finally:
        await producer.stop()


async def test_native_kafka_shows_only_what_was_committed_and_fences(native: RunningBacking) -> None:
    bootstrap = native.kafka.address
    await make_topic(bootstrap, "transactions")
    older = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id="leader")
    newer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id="leader")
    await older.start()
    try:
        await older.begin_transaction()
        await older.send_and_wait("transactions", b"aborted", partition=3)
        await older.abort_transaction()
        await newer.start()
        async with newer.transaction():
            await newer.send_and_wait("transactions", b"committed", partition=3)
        with pytest.raises(ProducerFenced):
            async with older.transaction():
                await older.send_and_wait("transactions", b"from the past", partition=3)
    finally:
        await newer.stop()
        await older.stop()
    assert [record.value for record in await read_all(bootstrap, "transactions")] == [b"committed"]


async def test_native_kafka_keeps_its_records_where_it_is_killed(native: RunningBacking) -> None:
    """The tests of a gateway without Kafka, and without a store, stop both in order."""
    bootstrap = native.kafka.address
    await make_topic(bootstrap, "kept")
    await produce(bootstrap, "kept", VALUES, idempotent=True)
    await asyncio.to_thread(native.kafka.kill)
    await asyncio.to_thread(native.kafka.start)
    assert [record.value for record in await read_all(bootstrap, "kept")] == VALUES
    assert await produce(bootstrap, "kept", VALUES, idempotent=True) == [3, 4, 5]


async def test_the_store_keeps_what_it_acknowledged_where_it_is_killed(native: RunningBacking) -> None:
    uri = native.mongodb_uri
    ids = [str(n) for n in range(500)]
    await insert(uri, ids)
    await asyncio.to_thread(native.store.kill)
    await asyncio.to_thread(native.store.start)
    assert set(ids) <= await stored_ids(uri)


async def test_a_frozen_store_answers_again_when_thawed(native: RunningBacking) -> None:
    assert isinstance(native.store, StoreProcess)
    native.store.freeze()
    assert not await asyncio.to_thread(native.store.is_ready)
    native.store.thaw()
    await asyncio.to_thread(native.store.wait_ready)
    await insert(native.mongodb_uri, ["thawed"])


async def test_a_later_block_takes_up_the_data_of_an_earlier_one(tmp_path: Path) -> None:
    skip_unless_possible(missing_for_store())
    earlier = StoreProcess(tmp_path)
    await asyncio.to_thread(earlier.start)
    await insert(mongodb_uri(earlier.address), ["earlier"])
    await asyncio.to_thread(earlier.close)
    later = StoreProcess(tmp_path)
    await asyncio.to_thread(later.start)
    try:
        assert await stored_ids(mongodb_uri(later.address)) == {"earlier"}
    finally:
        await asyncio.to_thread(later.close)


async def test_the_broker_in_memory_orders_and_gives_back_records(in_memory: RunningBacking) -> None:
    bootstrap = in_memory.kafka.address
    assert in_memory.env()["KAFKA_DURABLE"] == "false"
    await make_topic(bootstrap, "plain")
    assert await produce(bootstrap, "plain", VALUES, idempotent=False) == [0, 1, 2]
    records = await read_all(bootstrap, "plain")
    assert [record.value for record in records] == VALUES
    assert records[0].headers == (("ce_type", b"test"),)


async def test_the_broker_in_memory_forgets_everything_at_its_end(in_memory: RunningBacking) -> None:
    bootstrap = in_memory.kafka.address
    await make_topic(bootstrap, "forgotten")
    await produce(bootstrap, "forgotten", VALUES, idempotent=False)
    await asyncio.to_thread(in_memory.kafka.kill)
    await asyncio.to_thread(in_memory.kafka.start)
    await make_topic(bootstrap, "forgotten")
    assert await read_all(bootstrap, "forgotten") == []


@pytest.mark.slow
async def test_two_brokers_of_three_go_on_acknowledging(tmp_path: Path) -> None:
    skip_unless_possible(missing_for_native_kafka())
    with native_kafka_cluster(tmp_path, 3) as cluster:
        bootstrap = ",".join(broker.address for broker in cluster)
        await make_topic(bootstrap, "spread", {"min.insync.replicas": "2"}, copies=3)
        assert await produce(bootstrap, "spread", VALUES, idempotent=True) == [0, 1, 2]
        await asyncio.to_thread(cluster[0].kill)
        assert await produce(bootstrap, "spread", VALUES, idempotent=True) == [3, 4, 5]
        assert [record.value for record in await read_all(bootstrap, "spread")] == VALUES * 2


def command_in(folder: Path, backing: str = "pip") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.local", "--data-dir", str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "BACKING": backing},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_command_prints_the_variables_and_ends_on_a_signal(tmp_path: Path) -> None:
    skip_unless_possible(missing_for_in_memory_kafka() or missing_for_store())
    with command_in(tmp_path) as command:
        assert command.stdout is not None
        lines = [command.stdout.readline() for _ in range(3)]
        command.send_signal(signal.SIGTERM)
        _, said = command.communicate()
    assert command.returncode == 0
    assert said.splitlines()[-1] == "stopped"
    assert lines[0].startswith("export KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:")
    assert lines[1].startswith("export MONGODB_URI='mongodb://127.0.0.1:")
    assert lines[2] == "export KAFKA_DURABLE=false\n"


def test_the_command_ends_with_the_service_that_ends(tmp_path: Path) -> None:
    skip_unless_possible(missing_for_in_memory_kafka() or missing_for_store())
    with command_in(tmp_path) as command:
        assert command.stdout is not None
        for _ in range(3):
            command.stdout.readline()
        os.kill(child_of(command.pid, "secantus"), signal.SIGKILL)
        _, said = command.communicate()
    assert command.returncode == 1
    assert "FAILED: store ended with status -9" in said
    assert "Traceback" not in said


def child_of(pid: int, word: str) -> int:
    """The child whose command has this word."""
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((place / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == pid and word in (place / "cmdline").read_text():
                return int(place.name)
    raise AssertionError(f"{word} is no child of {pid}")


def test_the_command_says_in_a_line_why_it_cannot_start(tmp_path: Path) -> None:
    with command_in(tmp_path, backing="stone") as command:
        _, said = command.communicate()
    assert command.returncode == 1
    assert said == "FAILED: BACKING=stone is none of given, docker, native, pip\n"

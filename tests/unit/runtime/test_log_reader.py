"""When a reader has stalled, and what it knows of the log's end."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, TopicAuthorizationFailedError
from aiokafka.protocol.metadata import MetadataResponse_v1
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from prometheus_client import REGISTRY

from runtime import log_reader, metrics
from runtime.budgets import MOST_REQUEST_COST
from runtime.kafka import partition_of, under_replicated
from runtime.log_reader import FETCHES_AT_ONCE, LogReader, Stalled
from runtime.service import Fatal, Service
from runtime.settings import KafkaSettings, ServiceSettings
from schemas import topics
from schemas.log_records import MemberJoined
from tests.counting import counting
from tests.unit.dispatcher.records import record
from tests.waiting import eventually, in_background, passes

IDLE, BUSY = TopicPartition(topics.MESSAGES, 0), TopicPartition(topics.MESSAGES, 1)
JOINED = MemberJoined(group="group", up="up201906045")


class Consumer:
    """As of aiokafka: it knows where the log ends, and how far it has come."""

    def __init__(self) -> None:
        self.ends = {IDLE: 100, BUSY: 50}
        self.positions = {IDLE: 100, BUSY: 50}
        self.leaderless: set[TopicPartition] = set()
        self.answers = asyncio.Event()
        self.answers.set()
        self.fetches = 0
        self.resting = asyncio.Event()
        self.resumed = asyncio.Event()
        self._client = SimpleNamespace(cluster=ClusterMetadata())

    async def start(self) -> None:
        await self.answers.wait()

    async def stop(self) -> None:
        pass

    async def beginning_offsets(self, asked: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        if self.leaderless & set(asked):
            raise KafkaTimeoutError
        return dict.fromkeys(asked, 0)

    async def end_offsets(self, asked: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        await self.answers.wait()
        if self.leaderless & set(asked):
            raise KafkaTimeoutError
        return {tp: self.ends[tp] for tp in asked}

    def assign(self, _: Iterable[TopicPartition]) -> None:
        pass

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.positions[tp] = offset

    async def position(self, tp: TopicPartition) -> int:
        return self.positions[tp]

    async def getmany(self, **_: int) -> dict[TopicPartition, list[ConsumerRecord]]:
        assert not self.resting.is_set()
        self.fetches += 1
        return {BUSY: [record(JOINED, offset=self.fetches)]}

    def pause(self, *partitions: TopicPartition) -> None:
        assert set(partitions) == {IDLE, BUSY}
        self.resting.set()

    def resume(self, *partitions: TopicPartition) -> None:
        assert set(partitions) == {IDLE, BUSY}
        self.resting.clear()
        self.resumed.set()


class Reader(LogReader):
    """A reader of two partitions, checked when the test says so."""

    def __init__(self) -> None:
        super().__init__(KafkaSettings(kafka_partitions=2), topics.MESSAGES, self._take)
        self.consumer = Consumer()
        self.taken: list[tuple[int, int]] = []
        self._before: dict[int, int] = {}

    def _consumer(self) -> Any:
        return self.consumer

    def _take(self, partition: int, records: Sequence[ConsumerRecord]) -> None:
        self.taken += [(partition, one.offset) for one in records]

    async def check(self) -> None:
        self.positions = {tp.partition: position for tp, position in self.consumer.positions.items()}
        await self._check_progress(self.consumer, self._before)
        self._before = dict(self.positions)


async def test_a_record_that_comes_just_before_the_check_is_no_stall() -> None:
    reader = Reader()
    await reader.check()
    reader.consumer.ends[IDLE] = 101
    await reader.check()
    reader.consumer.positions[IDLE] = 101
    await reader.check()


async def test_a_record_that_is_not_read_from_one_check_to_the_next_is_a_stall() -> None:
    reader = Reader()
    await reader.check()
    reader.consumer.ends[IDLE] = 101
    await reader.check()
    with pytest.raises(Stalled):
        await reader.check()


async def test_a_partition_that_waits_its_turn_while_others_are_far_behind_has_not_stalled() -> None:
    """A fetch holds only so much: a start with many records and little CPU takes long to get to the last."""
    reader = Reader()
    reader.consumer.ends = {IDLE: 1_000, BUSY: 1_000}
    reader.consumer.positions = {IDLE: 0, BUSY: 0}
    for position in range(100, 900, 100):
        await reader.check()
        reader.consumer.positions[BUSY] = position
    reader.consumer.positions[BUSY] = 1_000
    with pytest.raises(Stalled, match="stands at 0 of 1000"):
        await reader.check()


async def test_where_the_log_ends_is_not_known_while_kafka_does_not_say_it_anew() -> None:
    reader = Reader()
    await reader.check()
    assert reader.ends == {0: 100, 1: 50}
    reader.consumer.answers.clear()
    async with in_background(reader.check()):
        await asyncio.sleep(0)
        assert reader.ends == {}


async def test_where_the_log_ends_is_not_known_before_a_new_consumer_has_asked() -> None:
    reader = Reader()
    await reader.check()
    reader.consumer.answers.clear()
    async with in_background(reader.run()):
        await asyncio.sleep(0)
        assert reader.ends == {}


@asynccontextmanager
async def reading(reader: Reader) -> AsyncIterator[None]:
    """Read for the length of the block, with nothing to be found out about the progress."""
    async with (
        in_background(asyncio.Event().wait()) as watching,
        in_background(reader._read(reader.consumer, watching)),
    ):
        yield


async def test_nothing_is_fetched_while_a_reader_rests_from_many_fetches() -> None:
    """What is written meanwhile comes with the next fetch: one that is made before it would come without."""
    reader = Reader()
    async with reading(reader):
        await reader.consumer.resting.wait()
        made = reader.consumer.fetches
        assert made >= FETCHES_AT_ONCE / MOST_REQUEST_COST, "where little is said nobody waits"
        await reader.consumer.resumed.wait()
        await reader.consumer.resting.wait()
        assert reader.consumer.fetches > made


async def test_a_partition_without_a_leader_stalls_no_other_one() -> None:
    """All are asked where they end; it answers nobody, and is no reason to begin anew."""
    reader = Reader()
    await reader.check()
    reader.consumer.leaderless = {IDLE}
    for position in range(50, 60):
        reader.consumer.ends[BUSY] = 2 * position
        reader.consumer.positions[BUSY] = position
        await reader.check()
        assert reader.ends == {1: 2 * position}
    (lag,) = metrics.READER_LAG.collect()
    lags = {(row.labels["topic"], row.labels["partition"]) for row in lag.samples}
    assert (topics.MESSAGES, "1") in lags
    assert (topics.MESSAGES, "0") not in lags, "nobody knows the lag of this one"


async def test_a_reader_is_deaf_while_some_partitions_answer_and_not_while_all_of_kafka_is_away() -> None:
    reader, now = Reader(), time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now)
        await reader.check()
        reader.consumer.leaderless = {IDLE}
        now += 10
        await reader.check()
        now += 10
        await reader.check()
        now += 5
        assert (reader.deaf_s(), reader.silent_s()) == (15, 25)
        reader.consumer.leaderless = set()
        await reader.check()
        assert (reader.deaf_s(), reader.silent_s()) == (0, 0)
        reader.consumer.leaderless = {IDLE, BUSY}
        now += 10
        with pytest.raises(KafkaError):
            await reader.check()
        assert (reader.deaf_s(), reader.silent_s()) == (0, 10)


async def test_a_reader_whose_consumers_fail_one_after_the_other_is_deaf_until_one_has_lasted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_reader, "RETRY_AFTER_S", 0.0)
    reader = Reader()

    async def refused(**_: int) -> None:
        reader.consumer.fetches += 1
        raise TopicAuthorizationFailedError(topics.MESSAGES)

    monkeypatch.setattr(reader.consumer, "getmany", refused)
    async with in_background(reader.run()):
        await eventually("it has failed", lambda: reader.consumer.fetches >= 3)
        deaf_s = reader.deaf_s()
        await eventually("it has failed again", lambda: reader.consumer.fetches >= 5)
        assert reader.deaf_s() > deaf_s > 0
    reader.ends, reader.consumer.positions = {}, dict(reader.consumer.ends)
    await reader.check()
    assert reader.deaf_s() > 0, "a consumer's first check says nothing"
    await reader.check()
    assert reader.deaf_s() == 0


async def test_a_reader_of_which_one_consumer_has_failed_is_not_deaf_while_the_next_one_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_reader, "RETRY_AFTER_S", 0.0)
    reader = Reader()

    async def stall(**_: int) -> None:
        reader.consumer.answers.clear()
        raise Stalled

    monkeypatch.setattr(reader.consumer, "getmany", stall)
    rebuilds = counting(metrics.READER_REBUILDS.labels(topic=topics.MESSAGES))
    async with in_background(reader.run()):
        await eventually("it has failed", lambda: rebuilds() == 1)
        assert reader.deaf_s() == 0


async def test_a_reader_whose_consumers_reach_no_broker_is_not_deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reader, "RETRY_AFTER_S", 0.0)
    reader = Reader()
    tries = 0

    async def unreachable() -> None:
        nonlocal tries
        tries += 1
        raise KafkaConnectionError

    monkeypatch.setattr(reader.consumer, "start", unreachable)
    async with in_background(reader.run()):
        await eventually("it has tried", lambda: tries >= 3)
        assert reader.deaf_s() == 0


async def test_the_silence_that_is_shown_is_that_of_who_follows_a_topic_whoever_else_reads_it_once() -> None:
    service = Service("test", ServiceSettings(log_dir=""))
    follower, once = Reader(), Reader()
    follower.consumer.answers.clear()
    once.consumer.answers.clear()
    tasks = [asyncio.create_task(run) for run in (follower.start(service), once.run())]
    await asyncio.sleep(0)
    follower._all_answered_at = time.monotonic() - 1000
    shown = REGISTRY.get_sample_value("chat_reader_silent_seconds", {"topic": topics.MESSAGES})
    assert shown == pytest.approx(1000, abs=100)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await service.resources.aclose()


async def test_a_new_consumer_has_yet_to_find_out_whether_a_part_is_silent() -> None:
    """After an outage of all of Kafka some partitions have a leader again before others."""
    reader = Reader()
    reader.consumer.leaderless = {IDLE}
    await reader.check()
    assert reader._deaf_since is not None
    reader.consumer.answers.clear()
    async with in_background(reader.run()):
        await asyncio.sleep(0)
        assert reader.deaf_s() == 0


async def test_a_new_consumer_goes_on_where_the_last_one_was_though_a_partition_has_no_leader() -> None:
    reader = Reader()
    await reader._seek(reader.consumer)
    reader.positions = {0: 100, 1: 57}
    reader.consumer.leaderless = {IDLE}
    await reader._seek(reader.consumer)
    assert reader.consumer.positions == {IDLE: 100, BUSY: 57}


async def test_what_is_fetched_is_handed_over_once_and_a_new_consumer_goes_on_after_it() -> None:
    reader = Reader()
    await reader._seek(reader.consumer)
    async with reading(reader):
        await reader.consumer.resting.wait()
    assert reader.taken == [(1, offset) for offset in range(1, reader.consumer.fetches + 1)]
    await reader._seek(reader.consumer)
    assert reader.consumer.positions == {IDLE: 0, BUSY: reader.consumer.fetches + 1}


async def test_it_has_caught_up_once_it_has_read_what_stood_in_the_log_at_its_start() -> None:
    reader = Reader()
    await reader._seek(reader.consumer)
    reader.consumer.ends = {IDLE: 200, BUSY: 200}
    for idle, busy, fault in [
        (99, 50, "reading chat.messages"),
        (100, 49, "reading chat.messages"),
        (100, 50, None),
    ]:
        reader.consumer.positions = {IDLE: idle, BUSY: busy}
        await reader._check_caught_up(reader.consumer)
        assert reader.ready_fault() == fault


async def test_a_log_that_ends_before_what_was_read_of_it_is_another_log() -> None:
    reader = Reader()
    await reader.check()
    reader.consumer.ends[IDLE] = 99
    with pytest.raises(Fatal, match=r"chat.messages/0 ends at 99"):
        await reader.check()
    reader._settings = KafkaSettings(kafka_durable=False)
    await reader.check()


async def test_what_is_read_while_the_log_says_where_it_ends_does_not_look_like_another_log() -> None:
    reader = Reader()
    await reader.check()
    reader.consumer.answers.clear()
    checking = asyncio.create_task(reader.check())
    await asyncio.sleep(0)
    reader.positions[1] = reader.consumer.positions[BUSY] = 70
    reader.consumer.answers.set()
    await checking


async def test_a_reader_ends_with_what_its_look_at_the_progress_has_found() -> None:
    reader = Reader()

    async def stalls() -> None:
        raise Stalled("it stands")

    watching = asyncio.create_task(stalls())
    with pytest.raises(Stalled):
        await reader._read(reader.consumer, watching)


async def test_a_reader_shows_which_partitions_lack_a_replica() -> None:
    reader = Reader()
    partitions = [(0, n, 1, [1, 2, 3], in_sync) for n, in_sync in enumerate(([1, 2, 3], [1, 3]))]
    told = MetadataResponse_v1([(1, "host", 9092, None)], 1, [(0, topics.MESSAGES, False, partitions)])
    reader.consumer._client.cluster.update_metadata(told)
    lacking = metrics.UNDER_REPLICATED.labels(topic=topics.MESSAGES)
    lacking.set(0)
    watching = asyncio.create_task(reader._monitor(reader.consumer))
    await asyncio.sleep(0)
    watching.cancel()
    assert lacking._value.get() == 1
    assert under_replicated(reader.consumer, "a topic that nobody has told us of") == 0


@pytest.mark.parametrize("codec", [1, 2, 3, 4], ids=["gzip", "snappy", "lz4", "zstd"])
def test_whatever_a_topic_is_compressed_by_is_read(codec: int) -> None:
    """A record that the library cannot decompress would stop every reader there for good."""
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 16_384)
    builder.append(0, 7, b"group", b"said", headers=[])
    batch = MemoryRecords(bytes(builder.build())).next_batch()
    assert [read.value for read in batch] == [b"said"]


async def test_reading_to_the_end_is_reading_all_that_a_key_s_partition_holds_at_that_moment() -> None:
    reader = Reader()
    key = next(key for key in "abcdef" if partition_of(key.encode(), 2) == BUSY.partition)
    with pytest.raises(KafkaConnectionError):
        await reader.read_to_end(key)
    reader._reading = reader.consumer
    reader.consumer.ends[BUSY] = 60
    async with in_background(reader.read_to_end(key)) as waiting:
        await passes()
        reader.consumer.ends[BUSY] = 70
        reader.consumer.positions[BUSY] = 59
        await passes()
        assert not waiting.done()
        reader.consumer.positions[BUSY] = 60
        await waiting


async def test_who_reads_to_the_end_is_told_where_the_consumer_is_replaced_meanwhile() -> None:
    """A consumer that stops cancels the requests that it has sent: that is not the caller's end."""
    reader = Reader()
    reader._reading = reader.consumer
    reader.consumer.ends = {IDLE: 101, BUSY: 51}
    async with in_background(reader.read_to_end("any")) as waiting:
        await passes()
        reader._reading = None
        with pytest.raises(KafkaConnectionError):
            await waiting

    async def cancelled(_: object) -> None:
        raise asyncio.CancelledError

    reader._reading = SimpleNamespace(end_offsets=cancelled)
    with pytest.raises(KafkaConnectionError):
        await reader.read_to_end("any")

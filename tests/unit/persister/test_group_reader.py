"""Where a member of the group begins, and what it commits when partitions were taken away meanwhile."""

from collections.abc import Iterable, Mapping

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    InvalidSessionTimeoutError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)
from aiokafka.util import commit_structure_validate

from persister.group_reader import FAILED_COMMITS, GroupReader
from persister.settings import PersisterSettings
from runtime.log_reader import Stalled
from runtime.service import Fatal
from schemas import topics

KEPT, TAKEN = TopicPartition(topics.MESSAGES, 0), TopicPartition(topics.MESSAGES, 1)


class Consumer:
    """As of aiokafka: it refuses to commit nothing."""

    def __init__(self, assigned: Iterable[TopicPartition]) -> None:
        self._assigned = set(assigned)
        self.committed: list[Mapping[TopicPartition, int]] = []
        self.error: Exception | None = None

    def assignment(self) -> set[TopicPartition]:
        return self._assigned

    async def stop(self) -> None:
        pass

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        commit_structure_validate(offsets)
        if self.error is not None:
            raise self.error
        self.committed.append(offsets)


@pytest.mark.parametrize(
    ("ends", "committed"), [({KEPT: 5}, [{KEPT: 5}]), ({KEPT: 5, TAKEN: 7}, [{KEPT: 5}]), ({TAKEN: 7}, [])]
)
async def test_only_what_the_group_has_left_us_is_committed(
    ends: dict[TopicPartition, int], committed: list[dict[TopicPartition, int]]
) -> None:
    reader = GroupReader(PersisterSettings(), lambda _: None)
    consumer = reader._consumer = Consumer([KEPT])
    await reader.commit(ends)
    assert consumer.committed == committed


@pytest.mark.parametrize("error", [CommitFailedError(), IllegalStateError()])
async def test_who_can_commit_nothing_any_more_is_replaced_and_who_cannot_in_a_rebalance_stays(
    error: Exception,
) -> None:
    reader = GroupReader(PersisterSettings(), lambda _: None)
    consumer = reader._consumer = Consumer([KEPT])
    for refused in (error, None, error):
        consumer.error = refused
        for _ in range(FAILED_COMMITS - 1):
            await reader.commit({KEPT: 5})
    with pytest.raises(Stalled):
        await reader.commit({KEPT: 5})


class RebalancedConsumer:
    """As of aiokafka, where the group takes its partitions away while it waits for their records."""

    def __init__(self, reader: GroupReader, error: Exception | None) -> None:
        self._reader, self._error = reader, error
        self.rebalances = True

    async def getmany(self, **_: object) -> Mapping[TopicPartition, list[str]]:
        if self.rebalances:
            self._reader.on_partitions_revoked([KEPT])
        if self._error is not None:
            raise self._error
        return {KEPT: ["a record"]}


@pytest.mark.parametrize("error", [None, NoOffsetForPartitionError(KEPT), OffsetOutOfRangeError({KEPT: 9})])
async def test_what_is_read_before_the_start_is_set_is_dropped(error: Exception | None) -> None:
    """Committed before what comes at the start, it would count as if that were stored, too."""
    reader = GroupReader(PersisterSettings(), lambda _: None)
    consumer = reader._consumer = RebalancedConsumer(reader, error)
    reader._positioned.set()
    assert await reader.poll(1) == (1, {})
    consumer.rebalances = False
    reader._positioned.set()
    if error is None:
        assert await reader.poll(1) == (1, {KEPT: ["a record"]})
    else:
        with pytest.raises(type(error)):
            await reader.poll(1)


async def test_a_reader_that_has_stopped_passes_no_rebalance_on() -> None:
    """Its consumer may stop late. The next reader's records would be taken for those of an earlier epoch."""
    epochs: list[int] = []
    reader = GroupReader(PersisterSettings(), epochs.append)
    reader._consumer = Consumer([KEPT])
    reader.on_partitions_revoked([])
    await reader.stop()
    reader.on_partitions_revoked([KEPT])
    assert epochs == [1]


class RefusedConsumer:
    """As of aiokafka, where a broker lets it into no group: it never gets partitions."""

    def __init__(self) -> None:
        self._coordinator = self

    def check_errors(self) -> None:
        raise InvalidSessionTimeoutError


async def test_who_is_refused_by_the_group_hears_why_and_does_not_wait_for_partitions() -> None:
    reader = GroupReader(PersisterSettings(), lambda _: None)
    reader._consumer = RefusedConsumer()
    with pytest.raises(InvalidSessionTimeoutError):
        await reader.poll(1)


class Member:
    """As of aiokafka: a consumer of a group, whose partition another member may have had meanwhile."""

    def __init__(self) -> None:
        self.committed_offset = 100
        self.position = -1

    async def start(self) -> None:
        pass

    def subscribe(self, *_: object, **__: object) -> None:
        pass

    async def committed(self, _: TopicPartition) -> int:
        return self.committed_offset

    async def beginning_offsets(self, asked: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(asked, 0)

    async def end_offsets(self, asked: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(asked, 1000)

    def seek(self, _: TopicPartition, offset: int) -> None:
        self.position = offset

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.committed_offset = offsets[KEPT]


async def test_what_another_member_has_written_into_another_store_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, member = GroupReader(PersisterSettings(), lambda _: None), Member()
    monkeypatch.setattr(reader, "_new_consumer", lambda: member)
    progress = {KEPT: 100}

    async def read_progress() -> dict[TopicPartition, int]:
        return dict(progress)

    await reader.start(read_progress)
    for stored, committed, begins in ((100, 100, 100), (150, 150, 150), (150, 200, 150), (160, 150, 150)):
        progress[KEPT], member.committed_offset = stored, committed
        reader.on_partitions_revoked([KEPT])
        await reader.on_partitions_assigned([KEPT])
        assert (member.position, member.committed_offset) == (begins, begins)


@pytest.mark.parametrize("error", [Fatal("another log"), KafkaError(), OSError(), TimeoutError()])
async def test_what_hinders_a_start_is_raised_by_the_next_poll(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library would log it, and go on."""
    reader = GroupReader(PersisterSettings(), lambda _: None)
    monkeypatch.setattr(reader, "_new_consumer", Member)
    answers: list[Exception | None] = [None, error]

    async def read_progress() -> dict[TopicPartition, int]:
        if (hindrance := answers.pop(0)) is not None:
            raise hindrance
        return {}

    await reader.start(read_progress)
    await reader.on_partitions_assigned([KEPT])
    with pytest.raises(type(error)) as raised:
        await reader.poll(1)
    assert raised.value is error

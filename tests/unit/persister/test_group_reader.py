"""What a member of the group commits when the group has taken partitions away meanwhile."""

from collections.abc import Iterable, Mapping

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import InvalidSessionTimeoutError
from aiokafka.util import commit_structure_validate

from persister.group_reader import GroupReader
from persister.settings import PersisterSettings
from schemas import topics

KEPT, TAKEN = TopicPartition(topics.MESSAGES, 0), TopicPartition(topics.MESSAGES, 1)


class Consumer:
    """As of aiokafka: it refuses to commit nothing."""

    def __init__(self, assigned: Iterable[TopicPartition]) -> None:
        self._assigned = set(assigned)
        self.committed: list[Mapping[TopicPartition, int]] = []

    def assignment(self) -> set[TopicPartition]:
        return self._assigned

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        commit_structure_validate(offsets)
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

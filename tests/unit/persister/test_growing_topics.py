"""The topics of the next generation are filled, in transactions, up to where they begin."""

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import InvalidTxnState

from persister.batch import Ends
from persister.growing_topics import GrowingTopics
from runtime import kafka
from runtime.settings import KafkaSettings


class NewPartitions:
    """New partitions in Kafka 3.6: a transaction that comes before their leaders lead fails for good."""

    def __init__(self) -> None:
        self.ends: Ends = {}

    async def end_offsets(self, tps: Iterable[TopicPartition]) -> Ends:
        """Answer once they are led."""
        return {tp: self.ends.setdefault(tp, 0) for tp in tps}

    async def delete_records(self, _records: object) -> None: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def begin_transaction(self) -> None: ...

    async def abort_transaction(self) -> None: ...

    def create_batch(self) -> Any:
        return SimpleNamespace(append=lambda **_: True, close=lambda: None)

    async def send_batch(self, _batch: object, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        tp, written = TopicPartition(topic, partition), asyncio.get_running_loop().create_future()
        if tp not in self.ends:
            raise InvalidTxnState
        written.set_result(SimpleNamespace(offset=self.ends[tp]))
        self.ends[tp] += 3
        return written


async def test_partitions_are_filled_once_their_leaders_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    new = NewPartitions()
    monkeypatch.setattr(kafka, "new_producer", lambda *_, **__: new)
    growing = GrowingTopics(KafkaSettings(), admin=new, consumer=new)
    assert await growing.begin_at("new", 2, 3) == {TopicPartition("new", n): 3 for n in range(2)}

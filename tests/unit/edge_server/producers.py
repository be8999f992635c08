"""A producer whose broker is the test: batches are the library's own, what becomes of them is said here."""

import asyncio
from dataclasses import dataclass

from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.structs import RecordMetadata, TopicPartition


@dataclass
class Sent:
    """A batch on its way, and the values and ids that are in it."""

    partition: int
    values: list[bytes]
    headers: list[dict[str, bytes]]
    answer: "asyncio.Future[RecordMetadata]"

    def written(self, offset: int, timestamp: int = 1_700_000_000_000) -> None:
        """Say that the brokers have it."""
        tp = TopicPartition("chat.messages", self.partition)
        self.answer.set_result(
            RecordMetadata("chat.messages", self.partition, tp, offset, timestamp, 1, None)
        )


class Producer:
    """Takes batches, and remembers them until the test answers."""

    def __init__(self, batch_bytes: int = 262_144) -> None:
        self.sent: list[Sent] = []
        self.error: BaseException | None = None
        self._batch_bytes = batch_bytes

    async def ready(self) -> None:
        """It always is."""

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(self._batch_bytes, 0)

    async def send_batch(
        self, batch: BatchBuilder, _topic: str, *, partition: int
    ) -> "asyncio.Future[RecordMetadata]":
        if self.error is not None:
            raise self.error
        records = list(DefaultRecordBatch(bytes(batch._build())))
        answer: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        self.sent.append(
            Sent(
                partition,
                [record.value or b"" for record in records],
                [dict(record.headers) for record in records],
                answer,
            )
        )
        return answer

    def on_their_way(self) -> list[Sent]:
        return [sent for sent in self.sent if not sent.answer.done()]

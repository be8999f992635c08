"""Writes messages to ``chat.messages`` in batches, one batch of a partition on its way at a time.

Messages that arrive while a batch is on its way go into the next one. The batches of all partitions leave in
rounds, at most `ROUNDS_PER_S` of them: batches grow with the load, and under little load no message waits for
its batch to fill. The producer stays idempotent with acks=all: it numbers batches made here like its own.
Messages that wait while a failed producer is replaced go through its successor.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from runtime import logs
from runtime.budgets import Budget, request_cost
from runtime.kafka import KeptProducer
from runtime.service import is_being_cancelled
from schemas import topics
from schemas.log_records import MessageSent, shared_headers

log = logging.getLogger(__name__)

ROUNDS_PER_S: Final = 200.0
"""At most so many requests a second: one costs about as much whatever the number of its messages, and faster
messages share it. A full one counts twice (`request_cost`)."""
BURST_S: Final = 0.1
"""So many seconds' worth of rounds may leave without a pause: under little load no message waits."""

UNKNOWN: Final = -1
"""A broker's answer for an offset that it no longer knows (of a retried batch), and for the append time of a
topic that keeps the writer's own."""


@dataclass(slots=True)
class Outgoing:
    """A message as the log takes it."""

    partition: int
    group: bytes
    key: bytes
    """Group, sender and id: what makes the message unique."""
    value: bytes
    trace: Sequence[tuple[str, bytes]] = field(default=(), kw_only=True)
    """The header of a message that is traced."""


OnWritten = Callable[[Sequence[Any], int, int], None]
"""Called with a batch that is in the log, its first offset (or `UNKNOWN`) and its append time in ms."""


class MessageWriter:
    """Queues messages without waiting, and calls ``on_written`` or ``on_failed`` with each batch."""

    def __init__(
        self,
        producer: KeptProducer,
        *,
        source: str,
        on_written: OnWritten,
        on_failed: Callable[[Sequence[Any], BaseException], None],
        rounds_per_s: float,
    ) -> None:
        self._producer = producer
        self._source = source
        self._on_written = on_written
        self._on_failed = on_failed
        self._waiting: dict[int, deque[Outgoing]] = {}
        self._due_partitions: list[int] = []
        self._rounds_per_s = rounds_per_s
        self._rounds = Budget(rounds_per_s, max(1.0, BURST_S * rounds_per_s))
        self._round_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def put(self, message: Outgoing) -> None:
        """Queue a message. The caller bounds how many are queued."""
        waiting = self._waiting.get(message.partition)
        if waiting is not None:
            waiting.append(message)
            return
        self._waiting[message.partition] = deque((message,))
        self._schedule(message.partition)

    def close(self) -> None:
        """Drop the queued messages, and cancel the writes that are on their way."""
        if self._round_timer is not None:
            self._round_timer.cancel()
        for task in self._tasks:
            task.cancel()

    def _schedule(self, partition: int) -> None:
        """Let a partition's next batch leave with the next round: one request takes the batches of all."""
        if not self._due_partitions:
            loop = asyncio.get_running_loop()
            missing = max(0.0, 1.0 - self._rounds.left(loop.time()))
            self._round_timer = loop.call_later(missing / self._rounds_per_s, self._begin_round)
        self._due_partitions.append(partition)

    def _begin_round(self) -> None:
        due, self._due_partitions = self._due_partitions, []
        cost = request_cost(sum(len(self._waiting[partition]) for partition in due))
        self._rounds.spend(asyncio.get_running_loop().time(), cost)
        for partition in due:
            task = asyncio.create_task(self._write_batch(partition, self._waiting[partition]))
            self._tasks.add(task)
            task.add_done_callback(partial(self._batch_done, partition))

    async def _write_batch(self, partition: int, waiting: deque[Outgoing]) -> None:
        await self._producer.ready()
        now = int(time.time() * 1000)
        batch, messages = self._fill(waiting, now)
        try:
            future = await self._producer.send_batch(batch, topics.MESSAGES, partition=partition)
            metadata = await future
        except (Exception, asyncio.CancelledError) as error:
            # Any error is logged and answered; cancellations leak out of the library.
            if is_being_cancelled():
                raise
            self._on_failed(messages, error)
        else:
            timestamp = now if metadata.timestamp == UNKNOWN else metadata.timestamp
            self._on_written(messages, metadata.offset, timestamp)

    def _fill(self, waiting: deque[Outgoing], now: int) -> tuple[Any, list[Outgoing]]:
        """Return a batch and its messages: as many as fit, in their order; the first one always fits."""
        headers = shared_headers(MessageSent.ce_type, source=self._source)
        batch = self._producer.create_batch()
        messages: list[Outgoing] = []
        while waiting:
            message = waiting[0]
            ce_id = message.key[len(message.group) + 1 :]
            if not batch.append(
                timestamp=now,
                key=message.group,
                value=message.value,
                headers=[*headers, ("ce_id", ce_id), *message.trace],
            ):
                break
            messages.append(waiting.popleft())
        batch.close()
        return batch, messages

    def _batch_done(self, partition: int, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error(
                "a write to a partition failed", exc_info=error, extra=logs.facts(topic=topics.MESSAGES)
            )
        if self._waiting[partition]:
            self._schedule(partition)
        else:
            del self._waiting[partition]

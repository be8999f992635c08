"""Writes messages to ``chat.messages`` in batches, one batch of a partition on its way at a time.

What comes while a batch is on its way goes with the next one, and the batches of all partitions leave in
rounds, of which there are only so many a second: batches grow with the load, and where little is said nobody
waits for them to fill. The producer stays idempotent with acks=all: it numbers batches made here like its
own. What waits while a producer that failed is replaced goes through the next one.
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
from runtime.kafka import KeptProducer, partition_of
from runtime.service import is_being_cancelled
from schemas import topics
from schemas.log_records import MessageSent, shared_headers

log = logging.getLogger(__name__)

ROUNDS_PER_S: Final = 200.0
"""A request costs about as much whatever the number of its messages. So there are at most so many a second,
and messages that come faster share them. A full one counts twice (`request_cost`)."""
BURST_S: Final = 0.1
"""So many seconds' worth of rounds may follow each other at once: where little is said nobody waits."""

NOT_SAID: Final = -1
"""A broker's answer for an offset that it no longer knows (of a retried batch), and for the append time where
a topic keeps the writer's own."""


@dataclass(slots=True)
class Outgoing:
    """A message as the log takes it."""

    group: bytes
    key: bytes
    """Group, sender and id: what makes the message unique."""
    value: bytes
    trace: Sequence[tuple[str, bytes]] = field(default=(), kw_only=True)
    """The header of a message that is traced."""


@dataclass(frozen=True, slots=True)
class Written:
    """Where a batch stands: its first record's offset, and the append time in ms; `NOT_SAID` is possible."""

    partition: int
    offset: int
    timestamp: int


class MessageWriter:
    """Takes messages without waiting, and tells what became of each batch."""

    def __init__(
        self,
        producer: KeptProducer,
        *,
        source: str,
        partitions: int,
        on_written: Callable[[Sequence[Any], Written], None],
        on_failed: Callable[[Sequence[Any], BaseException], None],
        rounds_per_s: float,
    ) -> None:
        self._producer = producer
        self._source = source
        self._partitions = partitions
        self._on_written = on_written
        self._on_failed = on_failed
        self._waiting: dict[int, deque[Outgoing]] = {}
        self._due: list[int] = []
        self._rounds_per_s = rounds_per_s
        self._rounds = Budget(rounds_per_s, max(1.0, BURST_S * rounds_per_s))
        self._round: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def put(self, message: Outgoing) -> None:
        """Take a message. Whoever calls bounds how many there are."""
        partition = partition_of(message.group, self._partitions)
        waiting = self._waiting.get(partition)
        if waiting is not None:
            waiting.append(message)
            return
        self._waiting[partition] = deque((message,))
        self._plan(partition)

    def close(self) -> None:
        """Give up what still waits."""
        if self._round is not None:
            self._round.cancel()
        for task in self._tasks:
            task.cancel()

    def _plan(self, partition: int) -> None:
        """A partition's next batch leaves with the next round: one request takes the batches of all."""
        if not self._due:
            loop = asyncio.get_running_loop()
            lacking = max(0.0, 1.0 - self._rounds.left(loop.time()))
            self._round = loop.call_later(lacking / self._rounds_per_s, self._begin_round)
        self._due.append(partition)

    def _begin_round(self) -> None:
        due, self._due = self._due, []
        cost = request_cost(sum(len(self._waiting[partition]) for partition in due))
        self._rounds.spend(asyncio.get_running_loop().time(), cost)
        for partition in due:
            task = asyncio.create_task(self._write_batch(partition, self._waiting[partition]))
            self._tasks.add(task)
            task.add_done_callback(partial(self._go_on, partition))

    async def _write_batch(self, partition: int, waiting: deque[Outgoing]) -> None:
        await self._producer.ready()
        now = int(time.time() * 1000)
        batch, taken = self._fill(waiting, now)
        try:
            on_its_way = await self._producer.send_batch(batch, topics.MESSAGES, partition=partition)
            done = await on_its_way
        except (Exception, asyncio.CancelledError) as error:
            # Whatever it is, it is logged and answered; cancellations leak out of the library.
            if is_being_cancelled():
                raise
            self._on_failed(taken, error)
        else:
            timestamp = now if done.timestamp == NOT_SAID else done.timestamp
            self._on_written(taken, Written(partition, done.offset, timestamp))

    def _fill(self, waiting: deque[Outgoing], now: int) -> tuple[Any, list[Outgoing]]:
        """Return a batch and what is in it: as many as fit, in their order; a first one always fits."""
        headers = shared_headers(MessageSent.ce_type, source=self._source)
        batch = self._producer.create_batch()
        taken: list[Outgoing] = []
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
            taken.append(waiting.popleft())
        batch.close()
        return batch, taken

    def _go_on(self, partition: int, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error(
                "a write to a partition failed", exc_info=error, extra=logs.facts(topic=topics.MESSAGES)
            )
        if self._waiting[partition]:
            self._plan(partition)
        else:
            del self._waiting[partition]

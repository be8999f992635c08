"""Runs one term of a leader: fences the one before, starts from its table, reads reports, publishes changes.

Publishing and reading take turns: a table never overtakes the reports that it is made of.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from dispatcher.keep_leader import KeepLeader
from dispatcher.log_clock import LogClock
from dispatcher.ownership import Ownership
from dispatcher.published import read_published
from dispatcher.settings import DispatcherSettings
from dispatcher.shard_table import Move
from dispatcher.term import Pace, Term
from runtime import logs, metrics
from runtime.kafka import new_producer, stop_soon, write
from runtime.log_folds import report_bad_record
from runtime.log_reader import LogReader, Stalled
from schemas import topics
from schemas.assignments import TABLE_KEY
from schemas.ids import new_id
from schemas.log_records import (
    BadRecord,
    DrainAsked,
    EdgeReported,
    EdgesAsked,
    LeaderTicked,
    Record,
    encode,
    header,
)

log = logging.getLogger(__name__)

SOURCE: Final = "dispatcher"
POLL_MS: Final = 100
PUBLISH_DEADLINE_S: Final = 30.0
FAULT_AFTER_S: Final = 5.0
MAX_LOST_TICKS: Final = 3
"""With more ticks in a row that were written and not read the consumer is stuck."""

KINDS: Final[dict[bytes, type[Record]]] = {
    kind.ce_type.encode(): kind for kind in (EdgeReported, LeaderTicked, DrainAsked, EdgesAsked)
}
"""The types of records on ``edge.status``, by their ``ce_type``."""


class Leader:
    """Leads as long as the partition is owned. ``term`` is None until the published table has been read."""

    def __init__(
        self,
        settings: DispatcherSettings,
        consumer: AIOKafkaConsumer,
        ownership: Ownership,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        new_reader: Callable[..., LogReader] = LogReader,
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._ownership = ownership
        self._monotonic = monotonic
        self._new_reader = new_reader
        self._id = new_id()
        self._lost_ticks = 0
        self._published: object = None
        self._wanted = 0
        self._namesakes: frozenset[str] = frozenset()
        self.clock = LogClock()
        self.term: Term | None = None

    def fault(self) -> str | None:
        """Return for how long no tick has come back, if that is too long."""
        if self.term is None:
            return "taking over"
        age = self.clock.age(self._monotonic())
        return None if age < FAULT_AFTER_S else f"no tick came back for {age:.0f} s"

    async def run(self, group: KeepLeader) -> None:
        """Lead while the partition is owned. Raises `ProducerFenced` if another leader has taken over."""
        async with AsyncExitStack() as stack:
            # Fence first, then read: nothing can be published in between.
            tables = await self._producer(stack, self._settings.dispatcher_group)
            ticks = await self._producer(stack, None)
            published = await read_published(self._settings, self._new_reader)
            if not self._ownership.held:
                return
            term = Term(published, Pace(rest_s=self._settings.edge_rest_s), name=self._settings.name)
            group.leads_in_epoch = term.epoch
            log.info(
                "leads",
                extra=logs.facts(epoch=term.epoch, edges=len(term.reports.edges)),
            )
            await self._publish(tables, term)
            self.term = term
            while self._ownership.held:
                await self._tick(ticks)
                self._process(term, await self._poll())
                if self._to_publish(term) != self._published:
                    await self._publish(tables, term)

    async def _producer(self, stack: AsyncExitStack, transactional_id: str | None) -> AIOKafkaProducer:
        settings = self._settings
        if transactional_id is None:
            # A lost tick is sent again under another number. An idempotent producer would fail for good
            # after the first one that Kafka did not take in time.
            settings = settings.model_copy(update={"kafka_durable": False})
        producer = new_producer(settings, transactional_id=transactional_id)
        stack.push_async_callback(stop_soon, producer)
        await producer.start()
        return producer

    async def _tick(self, ticks: AIOKafkaProducer) -> None:
        now = self._monotonic()
        if not self.clock.due(now):
            return
        tick = LeaderTicked(leader=self._id, number=self.clock.send(now))
        sent = await write(ticks, topics.EDGE_STATUS, encode(tick, key=SOURCE, source=SOURCE), 1)
        sent.add_done_callback(self._tick_is_written)

    def _tick_is_written(self, sent: "asyncio.Future[Any]") -> None:
        error = None if sent.cancelled() else sent.exception()
        if error is None:
            self._lost_ticks += 1
        else:
            log.warning("a tick was not written", extra=logs.facts(error=repr(error)))

    async def _poll(self) -> list[ConsumerRecord]:
        batches = await self._consumer.getmany(timeout_ms=POLL_MS)
        records = [record for batch in batches.values() for record in batch]
        if records:
            self._ownership.next_offset = records[-1].offset + 1
        elif self._lost_ticks > MAX_LOST_TICKS:
            raise Stalled(f"{self._lost_ticks} ticks were written and not read")
        return records

    def _process(self, term: Term, records: Iterable[ConsumerRecord]) -> None:
        for record in records:
            try:
                self._process_record(term, record)
            except BadRecord as error:
                report_bad_record(record, error)
        self._report_moves(term.settle(self.clock.now))
        self._update_metrics(term)

    def _process_record(self, term: Term, record: ConsumerRecord) -> None:
        kind = KINDS.get(header(record.headers, "ce_type") or b"", EdgeReported)
        match kind.read(record.headers, record.value):
            case EdgeReported() as report:
                term.add_report(report, self.clock.now)
            case LeaderTicked() as tick if tick.leader == self._id:
                self._on_tick(term, tick)
            case DrainAsked() | EdgesAsked() as wish:
                log.info("an operator asked", extra=logs.facts(wish=wish.model_dump(exclude_none=True)))
                term.add_wish(wish)

    def _on_tick(self, term: Term, tick: LeaderTicked) -> None:
        self._lost_ticks = 0
        if self.clock.tick_returned(tick.number, self._monotonic()):
            log.warning("the log was away; silence in that time does not count")
            term.reports.forgive_silence(self.clock.now, self._settings.edge_grace_s)

    def _update_metrics(self, term: Term) -> None:
        for state, count in term.reports.counts().items():
            metrics.EDGES.labels(state=state).set(count)
        self._report_namesakes(term)
        if term.edges_wanted != self._wanted:
            self._wanted = term.edges_wanted
            metrics.EDGES_WANTED.set(self._wanted)
            log.info(
                "edges are wanted",
                extra=logs.facts(
                    wanted=self._wanted, serving=len(term.table.serving), full_without_room=term.stuck
                ),
            )

    def _report_namesakes(self, term: Term) -> None:
        namesakes = term.reports.namesakes(self.clock.now)
        metrics.EDGE_NAMESAKES.set(len(namesakes))
        for edge in namesakes.keys() - self._namesakes:
            known, other = term.reports.edges[edge].url, namesakes[edge]
            log.warning(
                "two edges have the same name", extra=logs.facts(edge=edge, url=known, not_heard_url=other)
            )
        self._namesakes = frozenset(namesakes)

    def _report_moves(self, moves: Iterable[Move]) -> None:
        for move in moves:
            metrics.MOVED_SHARDS.labels(reason=move.reason).inc()
            log.info(
                "a shard moves",
                extra=logs.facts(
                    shard=move.label,
                    from_edge=move.from_edge,
                    to_edge=move.to_edge,
                    reason=move.reason,
                ),
            )

    def _to_publish(self, term: Term) -> object:
        """Return what is published when it changes.

        Where the partition was assigned to us again, another may have led and published meanwhile. Only by
        publishing do we learn that, because then we are fenced.
        """
        return self._ownership.assignments, term.content()

    async def _publish(self, tables: AIOKafkaProducer, term: Term) -> None:
        """Write the table. If that fails, the transaction stays open and the next term ends it."""
        content = self._to_publish(term)
        table = term.next_table()
        record = encode(table, key=TABLE_KEY, source=SOURCE)
        async with asyncio.timeout(PUBLISH_DEADLINE_S):
            if self._settings.kafka_durable:
                await tables.begin_transaction()
            await (await write(tables, topics.ASSIGNMENTS, record, 1))
            if self._settings.kafka_durable:
                await tables.commit_transaction()
        self._published = content
        metrics.TABLES_PUBLISHED.inc()
        log.info(
            "published a table",
            extra=logs.facts(epoch=table.epoch, version=table.version, shards=len(table.shards)),
        )

"""Makes the owner of the one partition of ``edge.status``, in the dispatchers' group, the leader.

Ownership alone proves nothing to the log (its holder may have been frozen for a minute): each term begins by
fencing the one before. A leader that finds itself fenced leaves the group and joins it again.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, ProducerFenced

from dispatcher.keep_leader import KeepLeader
from dispatcher.leading import Leader
from dispatcher.ownership import PARTITION, Ownership
from dispatcher.settings import DispatcherSettings
from dispatcher.term import Term
from runtime import logs, metrics
from runtime.assignments import Assignments
from runtime.kafka import RETRY_AFTER_S, new_consumer, stop_soon
from runtime.log_reader import Stalled
from schemas import topics

log = logging.getLogger(__name__)

HEARTBEATS_A_SESSION: Final = 6
STANDBY_POLL_MS: Final = 500
PROBE_TIMEOUT_S: Final = 5.0
"""How long the group may take to answer a standby before that is a fault."""


class Leadership:
    """Stands by until this dispatcher owns the partition, then leads for as long as it does."""

    def __init__(
        self,
        settings: DispatcherSettings,
        published: Assignments,
        new_leader: Callable[..., Leader] = Leader,
    ) -> None:
        self._settings = settings
        self._published = published
        self._new_leader = new_leader
        self.leader: Leader | None = None
        self._fault: str | None = "not yet in the group"

    def fault(self) -> str | None:
        """Return what is wrong between us and Kafka, for a readiness check."""
        if self.leader is None:
            return self._fault
        return self.leader.fault() or self._ignored(self.leader.term)

    def _ignored(self, term: Term | None) -> str | None:
        """Return why nobody takes this leader's tables; None if they are taken.

        Only dispatchers of one group fence each other: one of another group may lead in a higher epoch.
        """
        newest = self._published.table
        if term is None or newest is None or newest.epoch <= term.epoch:
            return None
        return f"another dispatcher led in epoch {newest.epoch}: tables of epoch {term.epoch} are ignored"

    async def run(self) -> None:
        """Take part for ever, through any outage of Kafka."""
        metrics.LEADING.set_function(self._leads_well)
        while True:
            try:
                await self._take_part()
            except ProducerFenced:
                log.warning("fenced: another dispatcher leads")
            except (KafkaError, OSError, Stalled, TimeoutError) as error:
                self._fault = f"not in the group: {type(error).__name__}"
                log.warning("participation is interrupted", extra=logs.facts(error=repr(error)))
            await asyncio.sleep(RETRY_AFTER_S)

    def _leads_well(self) -> bool:
        """Return whether it leads without a fault: no other leader counts for alerts."""
        return self.leader is not None and self.fault() is None

    async def _take_part(self) -> None:
        group = KeepLeader()
        consumer = self._consumer(group)
        ownership = Ownership(consumer)
        try:
            await consumer.start()
            consumer.subscribe([topics.EDGE_STATUS], listener=ownership)
            while True:
                await self._stand_by(consumer, ownership)
                await self._lead(consumer, ownership, group)
        finally:
            await stop_soon(consumer)

    def _consumer(self, group: KeepLeader) -> AIOKafkaConsumer:
        settings = self._settings
        session_ms = settings.dispatcher_session_timeout_ms
        return new_consumer(
            settings,
            group_id=settings.dispatcher_group,
            auto_offset_reset="latest",
            partition_assignment_strategy=(group,),
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // HEARTBEATS_A_SESSION,
            fetch_max_wait_ms=STANDBY_POLL_MS,
        )

    async def _stand_by(self, consumer: AIOKafkaConsumer, ownership: Ownership) -> None:
        while not ownership.held:
            try:
                async with asyncio.timeout(PROBE_TIMEOUT_S):
                    await consumer.getmany(timeout_ms=STANDBY_POLL_MS)
                    await consumer.end_offsets([PARTITION])
                    self._fault = None
            except TimeoutError:
                self._fault = "the group does not answer"

    async def _lead(self, consumer: AIOKafkaConsumer, ownership: Ownership, group: KeepLeader) -> None:
        self.leader = self._new_leader(self._settings, consumer, ownership)
        try:
            await self.leader.run(group)
        finally:
            self.leader = None
            group.leads_in_epoch = None
            # Alerts take max() over all dispatchers: a stale gauge of one that no longer leads would win.
            metrics.EDGES_WANTED.set(0)
            metrics.EDGE_NAMESAKES.set(0)
            metrics.EDGES.clear()
            log.info("no longer leads")

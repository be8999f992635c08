"""A message goes to the log; its sender gets the ack when the message's turn has come.

The turn decides, not the broker's answer alone: only then is it known whether this was the first record of
the message or a retry, and an ack never names a seq that history does not have.
"""

import asyncio
import logging
import time
from asyncio import Future
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata

from edge_server.delivery import Delivery
from edge_server.recent_log import Entry, RecentLog, message_key
from edge_server.settings import EdgeSettings
from runtime import logs, metrics
from runtime.kafka import write
from runtime.service import is_being_cancelled
from schemas import topics
from schemas.client_events import SendMessageOk
from schemas.log_records import Encoded, MessageSent, encode
from schemas.refusals import OVERLOADED, UNAVAILABLE, Refused

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Pending:
    """A message on its way: who waits for it, and since when (loop time)."""

    settled: "Future[Entry]"
    since: float


class Publisher:
    """Writes messages to ``chat.messages`` and waits until they are settled."""

    def __init__(
        self,
        settings: EdgeSettings,
        producer: AIOKafkaProducer,
        delivery: Delivery,
        window: RecentLog,
    ) -> None:
        self._settings = settings
        self._producer = producer
        self._delivery = delivery
        self._window = window
        self._pending: dict[bytes, Pending] = {}
        self._loop = asyncio.get_running_loop()
        delivery.on_settled(self._settle)
        metrics.PENDING_SENDS.set_function(lambda: len(self._pending))

    async def publish(self, message: MessageSent) -> SendMessageOk:
        """Return where the message stands in the log, once it is durable there and its turn has come.

        Raises `Refused`: ``overloaded`` past the bound of pending messages, ``unavailable`` while the log
        does not answer in time (the message may be stored all the same: a retry with the same id is safe).
        """
        started = time.perf_counter()
        key = message_key(message.group, message.up, message.id)
        entry = self._window.find(key) or await self._settled(key, message)
        metrics.ACK_SECONDS.observe(time.perf_counter() - started)
        return SendMessageOk(id=message.id, seq=entry.seq, timestamp=entry.timestamp)

    async def drain(self, deadline_s: float) -> None:
        """Wait until nothing is pending any more, or until the deadline."""
        waiting = [pending.settled for pending in self._pending.values()]
        if waiting:
            await asyncio.wait(waiting, timeout=deadline_s)

    async def _settled(self, key: bytes, message: MessageSent) -> Entry:
        pending = self._pending.get(key)
        if pending is None:
            pending = self._admit(key)
            await self._write(key, message)
        try:
            async with asyncio.timeout(self._settings.send_timeout_ms / 1000):
                return await asyncio.shield(pending.settled)
        except TimeoutError as error:
            raise Refused(UNAVAILABLE) from error

    def _admit(self, key: bytes) -> Pending:
        now = self._loop.time()
        if len(self._pending) >= self._settings.max_pending_sends:
            raise Refused(OVERLOADED)
        oldest = next(iter(self._pending.values()), None)
        if oldest and now - oldest.since > self._settings.refuse_when_waiting_ms / 1000:
            raise Refused(UNAVAILABLE)
        pending = Pending(self._loop.create_future(), now)
        self._pending[key] = pending
        return pending

    async def _write(self, key: bytes, message: MessageSent) -> None:
        record = encode(message, key=message.group, source=self._settings.edge_name)
        try:
            async with asyncio.timeout(self._settings.send_timeout_ms / 1000):
                written = await write(
                    self._producer, topics.MESSAGES, record, self._settings.kafka_partitions
                )
        except (KafkaError, OSError, TimeoutError, asyncio.CancelledError) as error:
            self._give_up(key, error)
            if is_being_cancelled():
                raise
            raise Refused(UNAVAILABLE) from error
        written.add_done_callback(lambda done: self._on_written(key, message.group, record, done))

    def _on_written(self, key: bytes, group: str, record: Encoded, written: "Future[RecordMetadata]") -> None:
        error = asyncio.CancelledError() if written.cancelled() else written.exception()
        if error is not None:
            self._give_up(key, error)
            return
        metrics.MESSAGES_IN.inc()
        done = written.result()
        if done.offset >= 0:
            # A retried batch can be answered without its offset; then consuming gives it its turn.
            self._delivery.acked(
                Entry(
                    group,
                    key,
                    done.partition,
                    done.offset,
                    done.timestamp,
                    value=record.value,
                )
            )

    def _settle(self, entry: Entry) -> None:
        pending = self._pending.pop(entry.key, None)
        if pending is not None and not pending.settled.done():
            pending.settled.set_result(entry)

    def _give_up(self, key: bytes, error: BaseException) -> None:
        log.warning("a message could not be written", extra=logs.facts(error=repr(error)))
        pending = self._pending.pop(key, None)
        if pending is not None and not pending.settled.done():
            pending.settled.set_exception(Refused(UNAVAILABLE))
            pending.settled.exception()

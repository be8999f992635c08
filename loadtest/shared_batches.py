"""Checks batches of messages that many students receive, once for all of them. Pure.

An edge writes the same bytes to every member of a room, under load a dozen messages at once. For each member
it is enough to check that the whole batch is newer than what they received before.
"""

from collections.abc import Callable
from typing import Final

from loadtest.memory import Memory, SentMessage
from loadtest.seen_frames import Batch

SAME_MOMENT_S: Final = 0.001
"""Members who receive a batch within this time are counted together, with the latency of the last."""


class _Moment:
    """Members who have just received the same batch."""

    __slots__ = ("last", "members", "sent", "since", "ups")

    def __init__(self, sent: list[SentMessage], now: float) -> None:
        self.sent = sent
        """The batch's messages that this process has sent."""
        self.ups = {message.up for message in sent}
        self.since = self.last = now
        self.members = 0


class SharedBatches:
    """Adds the batches that this process's students receive to ``memory``."""

    def __init__(self, memory: Memory, clock: Callable[[], float]) -> None:
        self._memory = memory
        self._clock = clock
        self._moments: dict[Batch, _Moment] = {}

    def listener(self, up: str) -> Callable[[Batch], None]:
        """Return a callback for the batches of one student."""
        subscriptions, take_message = self._memory.subscriptions[up], self._memory.listener(up)

        def received(batch: Batch) -> None:
            subscription = subscriptions.get(batch.room)
            if subscription is None or batch.first <= subscription.last:
                for message in batch.messages:
                    take_message(message)
                return
            subscription.last = batch.last
            subscription.rising += batch.count
            self._record(batch, up)

        return received

    def count_all(self) -> None:
        """Record the latencies of all batches so far."""
        for moment in self._moments.values():
            self._count(moment)
        self._moments.clear()

    def _record(self, batch: Batch, up: str) -> None:
        """Record a batch that is all new to a member."""
        memory, now = self._memory, self._clock()
        memory.received += batch.count
        moment = self._moments.get(batch) or self._begin(batch, now)
        if now - moment.since > SAME_MOMENT_S:
            self._count(moment)
            moment.since = now
        moment.last = now
        moment.members += 1
        if up in moment.ups:
            for sent in moment.sent:
                if sent.up == up and sent.measured:
                    memory.own.record(int((now - sent.planned_at) * 1e6))

    def _begin(self, batch: Batch, now: float) -> _Moment:
        matched = [self._memory.match(message) for message in batch.messages]
        moment = self._moments[batch] = _Moment([sent for sent in matched if sent is not None], now)
        return moment

    def _count(self, moment: _Moment) -> None:
        memory = self._memory
        for sent in moment.sent:
            deliver = memory.deliver if sent.measured else memory.other_deliver
            deliver.record(int((moment.last - sent.planned_at) * 1e6), moment.members)
        moment.members = 0

"""Takes the batches of messages that many students read, looked at once for all of them. Pure.

An edge writes the same bytes to every member of a room, under load a dozen messages at once. For each member
it is then enough to see that the whole batch is newer than what came before it.
"""

from collections.abc import Callable
from typing import Final

from loadtest.memory import Memory, Said
from loadtest.seen_frames import Batch

SAME_MOMENT_S: Final = 0.001
"""Members who read the same within this time are counted together, as late as the last of them."""


class _Moment:
    """The members who have just read the same."""

    __slots__ = ("last", "members", "said", "since", "ups")

    def __init__(self, said: list[Said], now: float) -> None:
        self.said = said
        """Those of its messages that this process has said."""
        self.ups = {one.up for one in said}
        self.since = self.last = now
        self.members = 0


class _Listener:
    """One student."""

    __slots__ = ("_places", "_shared", "_take_one", "_up")

    def __init__(self, shared: "SharedBatches", up: str, memory: Memory) -> None:
        self._shared = shared
        self._up = up
        self._places = memory.places[up]
        self._take_one = memory.listener(up)

    def take(self, batch: Batch) -> None:
        """Take a batch."""
        place = self._places.get(batch.room)
        if place is None or batch.first <= place.last:
            for message in batch.messages:
                self._take_one(message)
            return
        place.last = batch.last
        place.rising += batch.count
        self._shared.take(batch, self._up)


class SharedBatches:
    """Follows the batches that come to this process's students, for ``memory``."""

    def __init__(self, memory: Memory, clock: Callable[[], float]) -> None:
        self._memory = memory
        self._clock = clock
        self._moments: dict[Batch, _Moment] = {}

    def listener(self, up: str) -> Callable[[Batch], None]:
        """Return what takes the batches that come to one student. It is called for each."""
        return _Listener(self, up, self._memory).take

    def take(self, batch: Batch, up: str) -> None:
        """A member got a batch, all of which is new to them."""
        memory, now = self._memory, self._clock()
        memory.received += batch.count
        moment = self._moments.get(batch) or self._begin(batch, now)
        if now - moment.since > SAME_MOMENT_S:
            self._count(moment)
            moment.since = now
        moment.last = now
        moment.members += 1
        if up in moment.ups:
            for said in moment.said:
                if said.up == up and said.measured:
                    memory.own.record(int((now - said.planned_at) * 1e6))

    def count_all(self) -> None:
        """Count the latencies of what has come so far."""
        for moment in self._moments.values():
            self._count(moment)
        self._moments.clear()

    def _begin(self, batch: Batch, now: float) -> _Moment:
        met = [self._memory.meet(message) for message in batch.messages]
        moment = self._moments[batch] = _Moment([said for said in met if said is not None], now)
        return moment

    def _count(self, moment: _Moment) -> None:
        memory = self._memory
        for said in moment.said:
            deliver = memory.deliver if said.measured else memory.other_deliver
            deliver.record(int((moment.last - said.planned_at) * 1e6), moment.members)
        moment.members = 0

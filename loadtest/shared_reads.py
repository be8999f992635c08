"""Takes what many students read with the same bytes, looked at once for all of them. Pure.

An edge writes the same bytes to every member of a room, under load a dozen messages at once. For each member
it is then enough to see that the whole read is newer than what came before it.
"""

from collections.abc import Callable
from typing import Final

from loadtest.memory import Memory, Said
from loadtest.seen_frames import Read

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


class SharedReads:
    """Follows the reads of this process's students, for ``memory``."""

    def __init__(self, memory: Memory, clock: Callable[[], float]) -> None:
        self._memory = memory
        self._clock = clock
        self._moments: dict[Read, _Moment] = {}

    def listener(self, up: str) -> Callable[[Read], None]:
        """Return what takes the reads of one student. It is called for every read."""
        memory, clock, moments, count = self._memory, self._clock, self._moments, self._count
        places, take_one, record_own = memory.places[up], memory.listener(up), memory.own.record

        def received(read: Read) -> None:
            place = places.get(read.room)
            if place is None or read.first <= place.last:
                for message in read.messages:
                    take_one(message)
                return
            place.last = read.last
            place.rising += len(read.messages)
            memory.received += len(read.messages)
            now = clock()
            moment = moments.get(read) or self._begin(read, now)
            if now - moment.since > SAME_MOMENT_S:
                count(moment)
                moment.since = now
            moment.last = now
            moment.members += 1
            if up in moment.ups:
                for said in moment.said:
                    if said.up == up:
                        record_own(int((now - said.planned_at) * 1e6))

        return received

    def count_all(self) -> None:
        """Count the latencies of what has come so far."""
        for moment in self._moments.values():
            self._count(moment)
        self._moments.clear()

    def _begin(self, read: Read, now: float) -> _Moment:
        met = [self._memory.meet(message) for message in read.messages]
        moment = self._moments[read] = _Moment([said for said in met if said is not None], now)
        return moment

    def _count(self, moment: _Moment) -> None:
        record = self._memory.deliver.record
        for said in moment.said:
            record(int((moment.last - said.planned_at) * 1e6), moment.members)
        moment.members = 0


__all__ = ["SharedReads"]

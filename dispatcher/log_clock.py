"""A clock that advances only while the log can be written and read. Pure: monotonic readings are arguments.

The leader writes a tick beside the edges' reports and reads it back. The clock advances by ticks that came
back, so silence counts only while a report would have been read: not while Kafka is away, this process was
stopped, or its consumer was stuck.
"""

from dataclasses import dataclass
from typing import Final

TICK_S: Final = 0.5
"""The time between two ticks, once the first has come back."""

RESEND_AFTER_S: Final = 5.0
GAP_S: Final = 2.0
"""If a tick comes back longer after the one before, the log was away: only `TICK_S` of that time counts."""


@dataclass(slots=True)
class LogClock:
    """Seconds in which the log worked, since the start of this leader's term."""

    now: float = 0.0
    number: int = 0
    """The number of the last tick that was sent."""
    first_sent_at: float | None = None
    sent_at: float | None = None
    seen: int = 0
    """The number of the last tick that came back."""
    seen_at: float | None = None

    def due(self, monotonic: float) -> bool:
        """Return whether the next tick is to be sent."""
        if self.sent_at is None:
            return True
        under_way = self.number > self.seen
        return monotonic - self.sent_at >= (RESEND_AFTER_S if under_way else TICK_S)

    def send(self, monotonic: float) -> int:
        """Return the number of a tick that is sent now."""
        self.number += 1
        self.sent_at = monotonic
        if self.first_sent_at is None:
            self.first_sent_at = monotonic
        return self.number

    def tick_returned(self, number: int, monotonic: float) -> bool:
        """Advance by a tick of ours that was read. Return whether there was a gap before it."""
        if number <= self.seen:
            return False
        before = monotonic if self.seen_at is None else self.seen_at
        passed = monotonic - before
        self.seen, self.seen_at = number, monotonic
        self.now += TICK_S if passed > GAP_S else passed
        return passed > GAP_S

    def age(self, monotonic: float) -> float:
        """Return for how many seconds no tick has come back."""
        since = self.seen_at if self.seen_at is not None else self.first_sent_at
        return 0.0 if since is None else monotonic - since

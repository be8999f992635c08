"""Uptime, MTBF and MTRS from a series of checks, each good or bad. Pure.

An outage lasts from the first bad check to the next good one.
"""


class Availability:
    """Adds up checks in order. Times are in seconds of a monotonic clock."""

    def __init__(self) -> None:
        self.checks = 0
        self.good = 0
        self.outages = 0
        self.up_s = 0.0
        self._over_s: list[float] = []
        self._last: float | None = None
        self._down_since: float | None = None

    def record(self, at: float, good: bool) -> None:
        """Add a check at ``at``. The time since the previous check counts with that one's result."""
        self.checks += 1
        self.good += good
        if self._down_since is None:
            self.up_s += at - (at if self._last is None else self._last)
            if not good:
                self.outages += 1
                self._down_since = at
        elif good:
            self._over_s.append(at - self._down_since)
            self._down_since = None
        self._last = at

    @property
    def down_s(self) -> float:
        """How long it was down, including an outage that goes on."""
        going_on = 0.0 if self._down_since is None or self._last is None else self._last - self._down_since
        return sum(self._over_s) + going_on

    @property
    def uptime(self) -> float:
        """The share of the time in which it was up, from 0 to 1."""
        watched_s = self.up_s + self.down_s
        return self.up_s / watched_s if watched_s else float(self.good > 0)

    @property
    def mtbf_s(self) -> float | None:
        """Mean time between failures: the time up for each outage; None without any."""
        return self.up_s / self.outages if self.outages else None

    @property
    def mtrs_s(self) -> float | None:
        """Mean time to restore service, of the outages that are over; None without any."""
        return sum(self._over_s) / len(self._over_s) if self._over_s else None

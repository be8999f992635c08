"""Bounds connections before login, in number and time. No I/O: times are arguments.

A connection is an arrival until its handshake has succeeded.
"""

from typing import Final

from edge_server.settings import EdgeSettings
from runtime import metrics, refusing
from runtime.budgets import Budget

CHECK_EVERY_S: Final = 1.0

PACKETS_BEFORE_LOGIN: Final = 20
"""A connection needs one to log in, and another one for each token that it tries. Each is answered, which
costs more than sending it."""


class Arrivals:
    """The connections whose handshake is under way, by engine.io's session id."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._most = settings.max_handshakes
        self._within_s = settings.handshake_within_s
        self._budget = Budget(settings.connects_per_s, settings.connects_burst)
        self._since: dict[str, float] = {}
        self._packets: dict[str, int] = {}

    def __contains__(self, eio_sid: str) -> bool:
        """Whether this connection has not logged in yet."""
        return eio_sid in self._since

    def require_capacity(self, now: float) -> None:
        """Raise `NoCapacity` if no further connection may begin now."""
        if len(self._since) >= self._most:
            metrics.LIMIT_HITS.labels(limit="handshakes").inc()
            raise refusing.NoCapacity
        if self._budget.left(now) < 1:
            metrics.LIMIT_HITS.labels(limit="connects").inc()
            raise refusing.NoCapacity

    def begin(self, eio_sid: str, now: float) -> None:
        """Add a connection that has begun.

        Only connections that were let in are charged: a flood of refused ones must not create a debt.
        """
        self._budget.spend(now)
        self._since[eio_sid] = now
        self._packets[eio_sid] = 0

    def begin_again(self, eio_sid: str, now: float) -> None:
        """Add a connection whose client has left its session: it must not stay open without one."""
        self._since[eio_sid] = now

    def end(self, eio_sid: str) -> None:
        """Remove a connection: its handshake has succeeded, or it is gone."""
        self._since.pop(eio_sid, None)
        self._packets.pop(eio_sid, None)

    def admits_packet(self, eio_sid: str) -> bool:
        """Count a packet. Return False if a connection that has never logged in has sent too many."""
        if eio_sid not in self._packets:
            return True
        self._packets[eio_sid] += 1
        return self._packets[eio_sid] <= PACKETS_BEFORE_LOGIN

    def overdue(self, now: float) -> list[str]:
        """Return the connections that have taken too long. (The mapping is in the order of their begin.)"""
        late = []
        for eio_sid, since in self._since.items():
            if now - since < self._within_s:
                break
            late.append(eio_sid)
        return late

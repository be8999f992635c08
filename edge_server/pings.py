"""Decides when clients are pinged, and which of them have not answered. Pure: times are arguments.

One queue holds all clients: a task and a timer for each would be a sixth of an idle client's memory.
"""

from collections import deque
from typing import Any, Final, Protocol

FAR_AHEAD_S: Final = 1e12
"""Added to ``last_ping``: engine.io compares that with the wall clock, whose steps must close nobody."""


class Pinged(Protocol):
    """A socket that is pinged. ``last_ping`` tells its unanswered ping from others; None: it has answered."""

    last_ping: float | None


class Pings:
    """Two queues in time order: the next ping of each socket, and the end of the time to answer it."""

    def __init__(self, interval_s: float, timeout_s: float) -> None:
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._next: deque[tuple[float, Any]] = deque()
        self._unanswered: deque[tuple[float, float, Any]] = deque()

    def begin(self, socket: Pinged, now: float) -> None:
        """Schedule the next ping of a client that has connected or answered: an interval from now."""
        self._next.append((now + self._interval_s, socket))

    def due(self, now: float) -> list[Any]:
        """Return, once, the sockets to be pinged now."""
        found = []
        while self._next and self._next[0][0] <= now:
            found.append(self._next.popleft()[1])
        return found

    def pinged(self, socket: Pinged, now: float) -> None:
        """Note that a client is pinged."""
        socket.last_ping = stamp = FAR_AHEAD_S + now
        self._unanswered.append((now + self._timeout_s, stamp, socket))

    def timed_out(self, now: float) -> list[Any]:
        """Return, once, the sockets that have not answered in time."""
        found = []
        while self._unanswered and self._unanswered[0][0] <= now:
            _, stamp, socket = self._unanswered.popleft()
            if socket.last_ping == stamp:
                found.append(socket)
        return found

"""When clients are pinged, and which of them have not answered. Pure: times are arguments.

All wait together: a task and a timer for each would be a sixth of an idle client's memory.
"""

from collections import deque
from typing import Any, Protocol


class Pinged(Protocol):
    """What a ping changes: when the last one left that has not been answered, seconds since 1970."""

    last_ping: float | None


class Pings:
    """Both waits are as long for everybody, so who comes first is due first."""

    def __init__(self, interval_s: float, timeout_s: float) -> None:
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._next: deque[tuple[float, Any]] = deque()
        self._asked: deque[tuple[float, float, Any]] = deque()

    def begin(self, socket: Pinged, now: float) -> None:
        """A client has connected, or answered: its next ping is due an interval later."""
        self._next.append((now + self._interval_s, socket))

    def due(self, now: float) -> list[Any]:
        """Return, once, who is to be pinged now."""
        found = []
        while self._next and self._next[0][0] <= now:
            found.append(self._next.popleft()[1])
        return found

    def asked(self, socket: Pinged, stamp: float, now: float) -> None:
        """A client has been pinged; ``stamp`` is what its ``last_ping`` says until it answers."""
        self._asked.append((now + self._timeout_s, stamp, socket))

    def silent(self, now: float) -> list[Any]:
        """Return, once, who has had its time to answer and has not."""
        found = []
        while self._asked and self._asked[0][0] <= now:
            _, stamp, socket = self._asked.popleft()
            if socket.last_ping == stamp:
                found.append(socket)
        return found

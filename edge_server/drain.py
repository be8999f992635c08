"""Says whether this edge drains: because it stops, an operator asked for it, or it is deaf.

An edge that was asked to drain stays up, empty, until the wish is withdrawn. One that stops waits until it is
empty. An edge is deaf while part of the log does not answer it, or it cannot read what answers. A deaf edge
keeps the clients that the table leaves it: the dispatcher knows which other edges are deaf, too.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from edge_server.elsewhere import Elsewhere
from edge_server.rooms import Rooms
from runtime import logs

log = logging.getLogger(__name__)

POLL_S: Final = 0.05
NOTIFY_SHARE: Final = 0.6
"""The part of its deadline in which a stopping edge tells all clients: the rest is for slow clients."""

DEAF_AFTER_S: Final = 12.0
"""More than the ten seconds between two requests to a partition: one may fail as its leader changes."""


class Drain:
    """Why and when this edge drains. ``deaf_s`` returns for how long part of the log has not been read."""

    def __init__(self, elsewhere: Elsewhere, rooms: Rooms, deaf_s: Callable[[], float] = lambda: 0.0) -> None:
        self._elsewhere = elsewhere
        self._rooms = rooms
        self._deaf_s = deaf_s
        self._stops_at: float | None = None
        self._notify_by: float | None = None

    @property
    def active(self) -> bool:
        """Whether clients move by any table, also one that does not name this edge."""
        return self.wanted or self.deaf

    @property
    def wanted(self) -> bool:
        """Whether all clients have to go."""
        return self.stopping or self._elsewhere.asked_to_drain

    @property
    def deaf(self) -> bool:
        """Whether part of the log is not read: its groups get no messages, or keep removed members."""
        return self._deaf_s() >= DEAF_AFTER_S

    @property
    def stopping(self) -> bool:
        """Whether this edge stops: no newer table can give clients back to it."""
        return self._stops_at is not None

    def left_to_notify_s(self, now: float) -> float | None:
        """Return the seconds (loop time) until all clients have to be told; None without a deadline."""
        return None if self._notify_by is None else self._notify_by - now

    def begin(self, deadline_s: float) -> None:
        """Begin to drain because this edge stops."""
        now = asyncio.get_running_loop().time()
        self._stops_at, self._notify_by = now + deadline_s, now + NOTIFY_SHARE * deadline_s
        log.info("draining", extra=logs.facts(clients=len(self._rooms.clients), deadline_s=deadline_s))

    async def until_empty(self) -> None:
        """Return when no client is left, or at the deadline."""
        loop = asyncio.get_running_loop()
        while self._rooms.clients and loop.time() < (self._stops_at or 0.0):  # noqa: ASYNC110 - once a life
            await asyncio.sleep(POLL_S)
        log.info("drained", extra=logs.facts(clients_left=len(self._rooms.clients)))

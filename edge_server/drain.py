"""Whether this edge gives its clients away: because it stops, an operator asked for it, or it is deaf.

An edge that was asked stays, empty, until it is asked no more. One that stops waits until it is empty. One
is deaf while a part of the log does not answer it. It keeps the clients that the table leaves it: the
dispatcher knows which other edges are deaf, too.
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
IN_TIME: Final = 0.6
"""A stopping edge has told everybody when this part of its time has passed: the rest is for the slow."""

DEAF_AFTER_S: Final = 12.0
"""A partition is asked every ten seconds: one question may fail by chance, or as its leader changes."""


class Drain:
    """The edge's own wish to be left. ``deaf_s`` says for how long a part of the log has not answered it."""

    def __init__(self, elsewhere: Elsewhere, rooms: Rooms, deaf_s: Callable[[], float] = lambda: 0.0) -> None:
        self._elsewhere = elsewhere
        self._rooms = rooms
        self._deaf_s = deaf_s
        self._stops_at: float | None = None
        self._told_by: float | None = None

    @property
    def active(self) -> bool:
        """Whether clients go where the table says, although it may not name this edge."""
        return self.wanted or self.deaf

    @property
    def wanted(self) -> bool:
        """Whether all clients have to go."""
        return self.stopping or self._elsewhere.asked_to_drain

    @property
    def deaf(self) -> bool:
        """Whether groups here may hear nothing, or let members talk who were removed."""
        return self._deaf_s() >= DEAF_AFTER_S

    @property
    def stopping(self) -> bool:
        """Whether clients have to go for good: no newer table can want them back."""
        return self._stops_at is not None

    def left_to_tell_s(self, now: float) -> float | None:
        """Return in how many seconds (of the loop's time) all clients are to be told; None: no hurry."""
        return None if self._told_by is None else self._told_by - now

    def begin(self, deadline_s: float) -> None:
        """Drain for good: this edge stops."""
        now = asyncio.get_running_loop().time()
        self._stops_at, self._told_by = now + deadline_s, now + IN_TIME * deadline_s
        log.info("draining", extra=logs.facts(clients=len(self._rooms.clients), deadline_s=deadline_s))

    async def until_empty(self) -> None:
        """Return when nobody is here any more, or at the deadline."""
        loop = asyncio.get_running_loop()
        while self._rooms.clients and loop.time() < (self._stops_at or 0.0):  # noqa: ASYNC110 - once a life
            await asyncio.sleep(POLL_S)
        log.info("drained", extra=logs.facts(clients_left=len(self._rooms.clients)))

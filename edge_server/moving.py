"""Sends clients where the newest table wants them: told at a bounded, jittered rate, closed if they stay.

Which of them, and when, is decided in moves.py.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final

from edge_server.clients import Client
from edge_server.drain import Drain
from edge_server.elsewhere import Elsewhere
from edge_server.frames import event_frame
from edge_server.moves import STEP_S, Bucket, Moves, pace
from edge_server.rooms import Rooms
from edge_server.settings import EdgeSettings
from runtime import logs, metrics
from schemas.client_events import MOVE, Moved

log = logging.getLogger(__name__)

STRAY_AFTER_S: Final = 2.0
"""A newcomer that seems to be wrong here may have been sent by a newer table than ours: wait for it."""

CLOSED_BECAUSE: Final = "moved"


class Moving:
    """Looks at every client when the table changes or this edge begins to drain, and at each newcomer."""

    def __init__(
        self,
        settings: EdgeSettings,
        rooms: Rooms,
        elsewhere: Elsewhere,
        drain: Drain,
        close: Callable[[Client, str], None],
    ) -> None:
        self._per_s = settings.move_clients_per_s
        self._within_s = settings.move_within_s
        self._rooms = rooms
        self._elsewhere = elsewhere
        self._drain = drain
        self._close = close
        self._moves: Moves[Client] = Moves(within_s=settings.move_within_s)
        self._bucket = Bucket()
        self._seen = self._situation()
        metrics.MOVES_WAITING.set_function(lambda: self._moves.waiting)

    async def run(self) -> None:
        """Move clients for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(STEP_S * random.uniform(0.5, 1.5))
            self._look_around()
            self._step(loop.time())

    def look_at(self, client: Client) -> None:
        """Take a client that has just connected."""
        not_before = 0.0 if self._drain.stopping else asyncio.get_running_loop().time() + STRAY_AFTER_S
        self._ask(client, not_before)

    def _look_around(self) -> None:
        if (now := self._situation()) == self._seen:
            return
        self._seen = now
        clients = list(self._rooms.clients.values())
        # In order of their connecting they would reach the next edge group by group.
        random.shuffle(clients)
        for client in clients:
            self._ask(client, 0.0)
        if self._moves.waiting:
            log.info(
                "clients have to move", extra=logs.facts(clients=self._moves.waiting, reason=self._reason)
            )

    def _situation(self) -> tuple[object, ...]:
        """Return what decides who has to go: when it changes, all clients are looked at (a microsecond each).

        A new table that leaves this edge what it held matters only while clients are about to go: it may send
        them another way.
        """
        draining = self._drain.active
        any_table = draining or self._moves.waiting > 0
        return self._elsewhere.held_here_since, draining, self._elsewhere.version if any_table else None

    def _ask(self, client: Client, not_before: float) -> None:
        self._moves.ask(client, self._elsewhere.url_of(client.up, leaving=self._drain.active), not_before)

    def _step(self, now: float) -> None:
        per_s = pace(self._per_s, waiting=self._moves.waiting, left_s=self._drain.left_to_tell_s(now))
        step = self._moves.step(now, self._bucket.take(now, per_s))
        for client, url in step.tell:
            client.send(event_frame(MOVE, Moved(url=url, reason=self._reason, within_s=self._within_s)))
        for client in step.close:
            self._close(client, CLOSED_BECAUSE)
        metrics.MOVES_TOLD.inc(len(step.tell))
        metrics.MOVED_CLIENTS.inc(step.went)
        metrics.MOVES_FORCED.inc(len(step.close))

    @property
    def _reason(self) -> str:
        return "draining" if self._drain.active else "balance"

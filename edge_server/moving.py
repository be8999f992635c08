"""Moves clients to the edge that the newest table names: tells them, at a bounded rate, and closes who stays.

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
"""A new client that belongs elsewhere may have been sent by a newer table: wait so long for that table."""

CLOSED_BECAUSE: Final = "moved"


class Moving:
    """Checks every client when the table changes or this edge begins to drain, and each new client."""

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
        self._last_situation = self._situation()
        metrics.MOVES_WAITING.set_function(lambda: self._moves.waiting)

    async def run(self) -> None:
        """Move clients for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(STEP_S * random.uniform(0.5, 1.5))
            self._check_all_if_changed()
            self._step(loop.time())

    def check(self, client: Client) -> None:
        """Check a client that has just connected."""
        not_before = 0.0 if self._drain.stopping else asyncio.get_running_loop().time() + STRAY_AFTER_S
        self._set_destination(client, not_before)

    def _check_all_if_changed(self) -> None:
        if (now := self._situation()) == self._last_situation:
            return
        self._last_situation = now
        clients = list(self._rooms.clients.values())
        # In the order of their connects they would reach the next edge group by group.
        random.shuffle(clients)
        for client in clients:
            self._set_destination(client, 0.0)
        if self._moves.waiting:
            log.info(
                "clients have to move", extra=logs.facts(clients=self._moves.waiting, reason=self._reason)
            )

    def _situation(self) -> tuple[object, ...]:
        """Return what decides which clients move: when it changes, all are checked (a microsecond each).

        A new table that does not change what this edge holds matters only while clients wait to move: it may
        name another edge for them.
        """
        draining = self._drain.active
        any_table = draining or self._moves.waiting > 0
        return self._elsewhere.held_here_since, draining, self._elsewhere.version if any_table else None

    def _set_destination(self, client: Client, not_before: float) -> None:
        self._moves.set_destination(
            client, self._elsewhere.url_of(client.up, leaving=self._drain.active), not_before
        )

    def _step(self, now: float) -> None:
        per_s = pace(self._per_s, waiting=self._moves.waiting, left_s=self._drain.left_to_notify_s(now))
        step = self._moves.step(now, self._bucket.take(now, per_s))
        for client, url in step.notify:
            client.send(event_frame(MOVE, Moved(url=url, reason=self._reason, within_s=self._within_s)))
        for client in step.close:
            self._close(client, CLOSED_BECAUSE)
        metrics.MOVES_TOLD.inc(len(step.notify))
        metrics.MOVED_CLIENTS.inc(step.left)
        metrics.MOVES_FORCED.inc(len(step.close))

    @property
    def _reason(self) -> str:
        return "draining" if self._drain.active else "balance"

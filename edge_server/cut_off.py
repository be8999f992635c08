"""Closes all clients, once, if the log has not answered this edge for long: another edge may reach it.

Without the log this edge neither delivers nor writes, and does not learn where its clients belong by now.
Closed clients ask the gateway. If no edge reaches the log the gateway sends them back here, and they stay.
The same happens if only part of the log is silent and the table is in that part.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final

from edge_server.clients import Client
from edge_server.moves import STEP_S, Bucket
from edge_server.rooms import Rooms
from edge_server.settings import EdgeSettings
from runtime import logs
from runtime.service import Service

log = logging.getLogger(__name__)

CUT_OFF_AFTER_S: Final = 30.0
"""Long before that our clients belong to other edges, and a change of the brokers' leaders is over."""

BLIND_AFTER_S: Final = 45.0
"""By then a dispatcher that is alive has given a deaf edge's clients to other edges."""

CLOSED_BECAUSE: Final = "cut off"


class CutOff:
    """Checks for how long the log has been silent, and closes the clients connected when that is too long."""

    def __init__(
        self,
        settings: EdgeSettings,
        rooms: Rooms,
        silent_s: Callable[[], float],
        blind_s: Callable[[], float],
        close: Callable[[Client, str], None],
    ) -> None:
        self._per_s = settings.move_clients_per_s
        self._rooms = rooms
        self._silent_s = silent_s
        self._blind_s = blind_s
        self._close = close
        self._cut_off = False
        self._to_close: list[Client] = []
        self._bucket = Bucket()

    def fault(self) -> str | None:
        """Return for how long the log has been silent if that is too long, for a readiness check."""
        silent_s = self._silent_s()
        return f"the log has taken no report for {silent_s:.0f} s" if silent_s >= CUT_OFF_AFTER_S else None

    def start(self, service: Service) -> None:
        """Check in the background from now on."""
        service.health.ready("log", self.fault)
        service.supervise("close clients when cut off", self._run)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(STEP_S * random.uniform(0.5, 1.5))
            self._check()
            self._step(loop.time())

    def _check(self) -> None:
        """Choose the clients to close when an outage begins, and only then: later ones were sent here."""
        cut_off = self.fault() is not None or self._blind_s() >= BLIND_AFTER_S
        if cut_off == self._cut_off:
            return
        self._cut_off = cut_off
        self._to_close = list(self._rooms.clients.values()) if cut_off else []
        random.shuffle(self._to_close)
        if cut_off:
            log.error(
                "cut off from the log: clients are closed", extra=logs.facts(clients=len(self._to_close))
            )
        else:
            log.info("the log answers again")

    def _step(self, now: float) -> None:
        going = self._bucket.take(now, self._per_s)
        for client in self._to_close[:going]:
            self._close(client, CLOSED_BECAUSE)
        del self._to_close[:going]

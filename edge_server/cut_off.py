"""Closes all clients, once, when the log has not answered this edge for long: another edge may reach it.

Without the log this edge neither delivers nor writes, and does not learn which edges hold its clients by now:
closed, they ask the gateway. Where no edge reaches the log the gateway sends them back here, and they stay.
It does the same where only a part of the log is silent, if the table is in that part.
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
"""Long before that our clients belong to others, and a change of the brokers' leaders is over."""

BLIND_AFTER_S: Final = 45.0
"""By then the dispatcher, if it lives, has given a deaf edge's clients to others."""

CLOSED_BECAUSE: Final = "cut off"


class CutOff:
    """Looks at how long the log has been silent, and closes whoever was here when that became too long."""

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
        self._leaving: list[Client] = []
        self._bucket = Bucket()

    def fault(self) -> str | None:
        """Say for how long the log has been silent, where that is too long, for a readiness check."""
        silent_s = self._silent_s()
        return f"the log has taken no report for {silent_s:.0f} s" if silent_s >= CUT_OFF_AFTER_S else None

    def start(self, service: Service) -> None:
        """Look from now on, in the background."""
        service.health.ready("log", self.fault)
        service.supervise("close clients when cut off", self._run)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(STEP_S * random.uniform(0.5, 1.5))
            self._look()
            self._step(loop.time())

    def _look(self) -> None:
        """Choose who has to go when an outage begins, and only then: whoever comes later was sent here."""
        cut_off = self.fault() is not None or self._blind_s() >= BLIND_AFTER_S
        if cut_off == self._cut_off:
            return
        self._cut_off = cut_off
        self._leaving = list(self._rooms.clients.values()) if cut_off else []
        random.shuffle(self._leaving)
        if cut_off:
            log.error(
                "cut off from the log: clients are closed", extra=logs.facts(clients=len(self._leaving))
            )
        else:
            log.info("the log answers again")

    def _step(self, now: float) -> None:
        going = self._bucket.take(now, self._per_s)
        for client in self._leaving[:going]:
            self._close(client, CLOSED_BECAUSE)
        del self._leaving[:going]

"""Tells clients whose cursors lie beyond the end of the log that there is a hole: they come from another log.

A cursor that is ahead of this edge is usual for a moment; one that stays beyond the log's own end was never
earned in it. Which it is shows only after a while, so this looks now and then.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from edge_server.clients import Client
from edge_server.rooms import Rooms
from runtime.service import Service

CHECK_EVERY_S: Final = 30.0
"""Longer than the reader takes to ask for the log's end anew, also where a partition does not answer."""


class AnotherLog:
    """Looks at the clients that are ahead of this edge."""

    def __init__(
        self, rooms: Rooms, end_of: Callable[[str], int | None], tell: Callable[[Client, str], None]
    ) -> None:
        self._rooms = rooms
        self._end_of = end_of
        self._tell = tell
        self._beyond: Mapping[tuple[Client, str], int] = {}

    def start(self, service: Service) -> None:
        """Look from now on, in the background."""
        service.supervise("find cursors of another log", self._run)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            self.look()

    def look(self) -> None:
        """Tell who is beyond the end now and was so the last time: the end was asked for in between."""
        before, self._beyond = self._beyond, self._find()
        for (client, room), cursor in self._beyond.items():
            if before.get((client, room)) == cursor:
                self._tell(client, room)

    def _find(self) -> dict[tuple[Client, str], int]:
        return {
            (client, room): cursor
            for room, client, cursor in self._rooms.all_ahead()
            if (end := self._end_of(room)) is not None and cursor >= end
        }

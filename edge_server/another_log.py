"""Reports a hole to clients whose cursors stay beyond the end of the log: they come from another log.

A cursor may be ahead of this edge for a moment. One that stays beyond the log's own end is from another log.
Only time tells which, so this checks every `CHECK_EVERY_S`.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from edge_server.clients import Client
from edge_server.rooms import Rooms

CHECK_EVERY_S: Final = 30.0
"""Longer than the reader takes to ask for the log's end again, also if a partition does not answer."""


class AnotherLog:
    """Checks the clients that are ahead of this edge."""

    def __init__(
        self, rooms: Rooms, end_of: Callable[[str], int | None], report_hole: Callable[[Client, str], None]
    ) -> None:
        self._rooms = rooms
        self._end_of = end_of
        self._report_hole = report_hole
        self._beyond_end: Mapping[tuple[Client, str], int] = {}

    async def run(self) -> None:
        """Check every `CHECK_EVERY_S`, for ever."""
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            self.check()

    def check(self) -> None:
        """Report cursors beyond the end now and at the last check: the end was asked for in between."""
        before, self._beyond_end = self._beyond_end, self._find_beyond_end()
        for (client, room), cursor in self._beyond_end.items():
            if before.get((client, room)) == cursor:
                self._report_hole(client, room)

    def _find_beyond_end(self) -> dict[tuple[Client, str], int]:
        return {
            (client, room): cursor
            for room, client, cursor in self._rooms.all_ahead()
            if (end := self._end_of(room)) is not None and cursor >= end
        }

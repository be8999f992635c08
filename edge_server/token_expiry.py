"""Closes clients when their tokens expire. One heap and one task, not a timer a client."""

import asyncio
import heapq
import time
from collections.abc import Callable
from itertools import count
from typing import Final

from edge_server.clients import Client

CHECK_EVERY_S: Final = 1.0


class TokenExpiry:
    """Watches the tokens of connected clients."""

    def __init__(self, expire: Callable[[Client], None]) -> None:
        self._expire = expire
        self._heap: list[tuple[float, int, Client]] = []
        self._order = count()

    def watch(self, client: Client) -> None:
        """Expire this client when its token does, unless it is gone by then.

        The remaining time counts on the loop's clock: a step of the wall clock disconnects nobody.
        """
        due = asyncio.get_running_loop().time() + client.identity.expires_at - time.time()
        heapq.heappush(self._heap, (due, next(self._order), client))

    async def run(self) -> None:
        """Check once a second, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            self._forget_the_gone()
            while self._heap and self._heap[0][0] <= loop.time():
                client = heapq.heappop(self._heap)[2]
                if not client.gone:
                    self._expire(client)
                    # Thousands may expire together, as at midnight: serve other clients in between.
                    await asyncio.sleep(0)

    def _forget_the_gone(self) -> None:
        """Drop clients that have left from the heap: their tokens may be valid for days."""
        gone = sum(client.gone for _, _, client in self._heap)
        if 2 * gone > len(self._heap):
            self._heap = [item for item in self._heap if not item[2].gone]
            heapq.heapify(self._heap)

"""Bodies of requests that are on their way: bounded in bytes, of all callers and of each, and in time.

A body that lacks its last byte stays in memory, and costs whoever sends it no more than a whole one.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from runtime import metrics
from schemas.refusals import OVERLOADED, RATE_LIMITED, SLOW_REQUEST, UNSUPPORTED_ENCODING, Refused


class Bodies:
    """How many bytes of bodies are being read.

    Each counts from the start as what its head says, and as the longest where that says nothing. A first one
    is always read; more of one caller only up to ``share`` of all.
    """

    def __init__(self, *, most_bytes: int, share: float, longest_bytes: int, within_s: float) -> None:
        self._most_bytes = most_bytes
        self._most_of_one = share * most_bytes
        self._longest_bytes = longest_bytes
        self._within_s = within_s
        self._of_callers = Counter[str]()
        self.bytes = 0

    async def read(self, request: web.Request, caller: str) -> bytes:
        """Return a whole body. Raises `Refused`, and CancelledError where its client has gone."""
        if "Content-Encoding" in request.headers:
            raise Refused(UNSUPPORTED_ENCODING)
        said = request.content_length
        size = self._longest_bytes if said is None else min(said, self._longest_bytes)
        with self._counted(caller, size):
            try:
                async with asyncio.timeout(self._within_s):
                    return await request.read()
            except TimeoutError as error:
                metrics.LIMIT_HITS.labels(limit="slow bodies").inc()
                raise Refused(SLOW_REQUEST) from error
            except ConnectionError as error:
                # Nobody is there to be answered: it ends as a read does whose client has gone.
                raise asyncio.CancelledError from error

    @contextmanager
    def _counted(self, caller: str, size: int) -> Iterator[None]:
        """Count a body for the length of the block. Raises `Refused`: overloaded, rate limited."""
        if self.bytes and self.bytes + size > self._most_bytes:
            metrics.LIMIT_HITS.labels(limit="bodies").inc()
            raise Refused(OVERLOADED)
        has = self._of_callers.get(caller, 0)
        if has and has + size > self._most_of_one:
            metrics.LIMIT_HITS.labels(limit="bodies of a user").inc()
            raise Refused(RATE_LIMITED)
        self.bytes += size
        self._of_callers[caller] += size
        try:
            yield
        finally:
            self.bytes -= size
            self._of_callers[caller] -= size
            if not self._of_callers[caller]:
                del self._of_callers[caller]

"""What clients have yet to read of their answers: bounded in bytes and in time.

An answer stays in memory until its client has taken it, and one that never takes it pays nothing for that.
"""

import asyncio
from collections import Counter
from typing import Final

from aiohttp import web

from runtime import metrics
from schemas.refusals import OVERLOADED, RATE_LIMITED, Refused

SMALL_BYTES: Final = 65_536
"""Answers up to here are neither counted nor timed: a connection buffers as much anyway."""


class UnreadAnswers:
    """How many bytes of large answers are on their way to clients.

    Of one caller's a first one is always kept, and more only up to ``share`` of all.
    """

    def __init__(self, *, most_bytes: int, share: float, within_s: float) -> None:
        self._most_bytes = most_bytes
        self._most_of_one = share * most_bytes
        self._within_s = within_s
        self._of_callers = Counter[str]()
        self.bytes = 0

    def admit(self, caller: str, size: int) -> None:
        """Raise `Refused` where so large an answer would be too much to keep: overloaded, rate limited."""
        if self.bytes + size > self._most_bytes:
            metrics.LIMIT_HITS.labels(limit="unread answers").inc()
            raise Refused(OVERLOADED)
        has = self._of_callers.get(caller, 0)
        if has and has + size > self._most_of_one:
            metrics.LIMIT_HITS.labels(limit="unread answers of a user").inc()
            raise Refused(RATE_LIMITED)

    async def send(self, request: web.BaseRequest, caller: str, answer: bytes) -> None:
        """Send a whole answer. Raises ConnectionError where the client is gone, or too slow to read it."""
        self.bytes += len(answer)
        self._of_callers[caller] += len(answer)
        try:
            async with asyncio.timeout(self._within_s):
                await request.writer.write_eof(answer)
        except TimeoutError as error:
            metrics.LIMIT_HITS.labels(limit="slow readers").inc()
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("the answer was not read in time") from error
        finally:
            self.bytes -= len(answer)
            self._of_callers[caller] -= len(answer)
            if not self._of_callers[caller]:
                del self._of_callers[caller]

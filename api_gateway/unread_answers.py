"""What clients have yet to read of their answers: bounded in bytes and in time.

An answer stays in memory until its client has taken it, and one that never takes it pays nothing for that.
"""

import asyncio
from typing import Final

from aiohttp import web

from runtime import metrics
from schemas.refusals import OVERLOADED, Refused

SMALL_BYTES: Final = 65_536
"""Answers up to here are neither counted nor timed: a connection buffers as much anyway."""


class UnreadAnswers:
    """How many bytes of large answers are on their way to clients."""

    def __init__(self, *, most_bytes: int, within_s: float) -> None:
        self._most_bytes = most_bytes
        self._within_s = within_s
        self.bytes = 0

    def admit(self, size: int) -> None:
        """Raise `Refused`, overloaded, where an answer of this size would be too much to keep."""
        if self.bytes + size > self._most_bytes:
            metrics.LIMIT_HITS.labels(limit="unread answers").inc()
            raise Refused(OVERLOADED)

    async def send(self, request: web.BaseRequest, answer: bytes) -> None:
        """Send a whole answer. Raises ConnectionError where the client is gone, or too slow to read it."""
        self.bytes += len(answer)
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

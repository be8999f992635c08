"""What clients have yet to read of their answers: bounded in bytes and in time.

An answer stays in memory until its client has taken it, and one that never takes it pays nothing for that.
"""

from typing import Final

from aiohttp import web

from api_gateway.held_bytes import HeldBytes
from runtime import metrics
from runtime.bodies import taken_in_time

SMALL_BYTES: Final = 16_384
"""Smaller answers are neither counted nor timed: what their request holds is about as much."""

LONGEST_OF_A_WRITE: Final = 131_072
"""An answer to a write that is no longer is counted and timed but not refused: what it tells of stands in the
log by then. Only an answer that shows more than 9,000 members is longer. It may be refused, and a retry under
the same id changes nothing."""


class UnreadAnswers(HeldBytes):
    """How many bytes of large answers are on their way to clients.

    A caller may have one of any size, and several up to ``share`` of all.
    """

    def __init__(self, *, most_bytes: int, share: float, within_s: float) -> None:
        super().__init__(
            most_bytes=most_bytes,
            share=share,
            full=metrics.LIMIT_HITS.labels(limit="unread answers"),
            full_for_one=metrics.LIMIT_HITS.labels(limit="unread answers of a user"),
        )
        self._within_s = within_s

    async def send(self, request: web.BaseRequest, caller: str, answer: bytes) -> None:
        """Send a whole answer. Raises ConnectionError where the client is gone, or too slow to read it."""
        late = metrics.LIMIT_HITS.labels(limit="slow readers")
        with self.counted(caller, len(answer)):
            async with taken_in_time(request, self._within_s, late):
                await request.writer.write_eof(answer)

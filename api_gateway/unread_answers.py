"""Limits, in bytes and in time, the answers that clients have not read yet.

An answer stays in memory until its client has read it; never reading costs the client nothing.
"""

from typing import Final

from aiohttp import web

from api_gateway.held_bytes import HeldBytes
from runtime import metrics
from runtime.bodies import taken_in_time

SMALL_BYTES: Final = 16_384
"""Smaller answers are neither counted nor timed: their requests take about as much memory."""

LONGEST_OF_A_WRITE: Final = 131_072
"""An answer to a write is refused only if it is longer: the write is in the log by then. Only an answer with
more than 9,000 members is. A retry under the same id changes nothing."""


class UnreadAnswers(HeldBytes):
    """Counts the bytes of large answers that are being sent.

    A caller may have one of any size, and several up to ``share`` of all.
    """

    def __init__(self, *, most_bytes: int, share: float, within_s: float) -> None:
        super().__init__(
            most_bytes=most_bytes,
            share=share,
            full=metrics.LIMIT_HITS.labels(limit="unread answers"),
            full_for_caller=metrics.LIMIT_HITS.labels(limit="unread answers of a user"),
        )
        self._within_s = within_s

    async def send(self, request: web.BaseRequest, caller: str, answer: bytes) -> None:
        """Send a whole answer. Raises ConnectionError if the client is gone or too slow."""
        late = metrics.LIMIT_HITS.labels(limit="slow readers")
        with self.counted(caller, len(answer)):
            async with taken_in_time(request, self._within_s, late):
                await request.writer.write_eof(answer)

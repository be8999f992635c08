"""Reads bodies of requests within bounds: of time, and of bytes for all callers and for each.

A body whose last byte never comes would stay in memory, at no cost for its sender.
"""

import asyncio

from aiohttp import web

from api_gateway.held_bytes import HeldBytes
from runtime import metrics
from runtime.bodies import read_in_time
from schemas.refusals import TOO_LARGE, UNSUPPORTED_ENCODING, Refused


class Bodies(HeldBytes):
    """Counts the bytes of bodies that are being read.

    A body counts by its Content-Length before it is read; without one, as ``longest_bytes``. A caller may
    have several only up to ``share`` of all.
    """

    def __init__(self, *, most_bytes: int, share: float, longest_bytes: int, within_s: float) -> None:
        super().__init__(
            most_bytes=most_bytes,
            share=share,
            full=metrics.LIMIT_HITS.labels(limit="bodies"),
            full_for_caller=metrics.LIMIT_HITS.labels(limit="bodies of a user"),
        )
        self._longest_bytes = longest_bytes
        self._within_s = within_s

    async def read(self, request: web.Request, caller: str) -> bytes:
        """Return a whole body. Raises `Refused`, or CancelledError if the client is gone."""
        if "Content-Encoding" in request.headers:
            raise Refused(UNSUPPORTED_ENCODING)
        length = request.content_length
        size = self._longest_bytes if length is None else min(length, self._longest_bytes)
        self.admit(caller, size)
        with self.counted(caller, size):
            try:
                return await read_in_time(request, self._within_s)
            except web.HTTPRequestEntityTooLarge:
                raise Refused(TOO_LARGE, f"body: At most {self._longest_bytes} bytes") from None
            except ConnectionError as error:
                # Nobody can be answered: end as aiohttp ends the handler of a client that is gone.
                raise asyncio.CancelledError from error

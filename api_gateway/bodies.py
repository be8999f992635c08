"""Bodies of requests that are on their way: bounded in bytes, of all callers and of each, and in time.

A body whose last byte never comes stays in memory, and its sender pays nothing for that.
"""

import asyncio

from aiohttp import web

from api_gateway.held_bytes import HeldBytes
from runtime import metrics
from runtime.bodies import read_in_time
from schemas.refusals import UNSUPPORTED_ENCODING, Refused


class Bodies(HeldBytes):
    """How many bytes of bodies are being read.

    Each counts by its Content-Length before a byte of it is read; without one, as ``longest_bytes``. A caller
    has several only up to ``share`` of all.
    """

    def __init__(self, *, most_bytes: int, share: float, longest_bytes: int, within_s: float) -> None:
        super().__init__(
            most_bytes=most_bytes,
            share=share,
            full=metrics.LIMIT_HITS.labels(limit="bodies"),
            full_for_one=metrics.LIMIT_HITS.labels(limit="bodies of a user"),
        )
        self._longest_bytes = longest_bytes
        self._within_s = within_s

    async def read(self, request: web.Request, caller: str) -> bytes:
        """Return a whole body. Raises `Refused`, and CancelledError where its client has gone."""
        if "Content-Encoding" in request.headers:
            raise Refused(UNSUPPORTED_ENCODING)
        said = request.content_length
        size = self._longest_bytes if said is None else min(said, self._longest_bytes)
        self.admit(caller, size)
        with self.counted(caller, size):
            try:
                return await read_in_time(request, self._within_s)
            except ConnectionError as error:
                # Nobody is there to be answered: it ends as a read does whose client has gone.
                raise asyncio.CancelledError from error

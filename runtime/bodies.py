"""A request's body is read whole, and in time."""

import asyncio

from aiohttp import web

from runtime import metrics
from schemas.refusals import SLOW_REQUEST, Refused


async def read_in_time(request: web.Request, within_s: float) -> bytes:
    """Return a whole body, which the request keeps. Raises `Refused` (slow), and what reading raises."""
    try:
        async with asyncio.timeout(within_s):
            return await request.read()
    except TimeoutError as error:
        metrics.LIMIT_HITS.labels(limit="slow bodies").inc()
        raise Refused(SLOW_REQUEST) from error

"""Bounds the time in which a request's body is read, and an answer's body is taken by its client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import Counter

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
    except (ConnectionError, web.RequestPayloadError) as error:
        # The body's reader keeps the error, whose traceback keeps the body: this cycle would stay until the
        # garbage collector runs, which is rarely.
        error.__traceback__ = None
        raise type(error)(*error.args) from None


@asynccontextmanager
async def taken_in_time(request: web.BaseRequest, within_s: float, late: Counter) -> AsyncIterator[None]:
    """Write an answer within the block, which ends when the kernel has all of it.

    Raises ConnectionError where the client is gone, or has been cut off because it is too slow to read it.
    """
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client is gone")
    # With this limit, writing waits until everything has left, not only until little remains.
    transport.set_write_buffer_limits(0)
    try:
        async with asyncio.timeout(within_s):
            yield
    except TimeoutError as error:
        late.inc()
        transport.abort()
        raise ConnectionResetError("the answer was not read in time") from error
    except ConnectionError as error:
        # What waited for the connection keeps the error, and its traceback the answer: a circle, as above.
        error.__traceback__ = None
        raise ConnectionResetError("the client is gone") from None

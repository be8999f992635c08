"""Requests in spans, around everything else that the gateway does with them.

A caller's own trace goes on only on the internal API: a student must not decide what is traced.
"""

from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from api_gateway.answers import route_of

if TYPE_CHECKING:
    from runtime.spans import Spans


def traced(spans: "Spans", *, callers_are_trusted: bool) -> Middleware:
    """Return the middleware that makes a span of each request."""

    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        headers = request.headers if callers_are_trusted else {}
        with spans.request(request.method, route_of(request), headers) as ended:
            response = await handler(request)
            ended(response.status)
            return response

    return web.middleware(around)

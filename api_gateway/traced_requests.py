"""Requests in spans, around everything else that the gateway does with them.

A caller's own trace goes on only on the internal API: a student must not decide what is traced.
"""

from typing import TYPE_CHECKING

from aiohttp import web

from api_gateway.answers import Handler
from api_gateway.ready_response import ReadyResponse

if TYPE_CHECKING:
    from runtime.spans import Spans


def traced(route: str, handler: Handler, *, spans: "Spans", callers_are_trusted: bool) -> Handler:
    """Return the handler that makes a span of each request of a route."""

    async def within(request: web.Request) -> ReadyResponse:
        headers = request.headers if callers_are_trusted else {}
        with spans.request(request.method, route, headers) as ended:
            response = await handler(request)
            ended(response.status)
            return response

    return within

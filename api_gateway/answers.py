"""The outermost layer of both APIs: refusals, request ids, CORS and metrics.

Whatever goes wrong inside becomes a row of the table of refusals; nothing of the inside is ever shown.
"""

import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import orjson
from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import Counter, Histogram

from api_gateway.routing import json_response
from runtime import metrics, refusing
from schemas.refusals import (
    INTERNAL,
    INVALID_PAYLOAD,
    METHOD_NOT_ALLOWED,
    MISSING_TOKEN,
    NOT_FOUND,
    TOO_LARGE,
    Refused,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

UNMATCHED: Final = "unmatched"
MAX_LOGGED_PATH: Final = 200
PREFLIGHT_HEADERS: Final = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "86400",
}
_BY_STATUS: Final = {404: NOT_FOUND, 405: METHOD_NOT_ALLOWED, 413: TOO_LARGE}


class Cors:
    """Which web pages may call: all of them, or those of the listed origins."""

    def __init__(self, allowed_origins: str) -> None:
        self._origins = {origin.strip().rstrip("/") for origin in allowed_origins.split(",")}
        self._all = "*" in self._origins

    def headers(self, origin: str | None) -> Mapping[str, str]:
        """Return the headers for a page of this origin; none of them where it may not call."""
        if self._all:
            return _OPEN
        if origin is None or origin not in self._origins:
            return _VARIES
        return {**_OPEN, **_VARIES, "Access-Control-Allow-Origin": origin}


_OPEN: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "X-Request-Id, Retry-After",
}
_VARIES: Final = {"Vary": "Origin"}


class RequestIds:
    """Ids of requests that went well: this process's random part and a number (a tenth of a uuid's cost)."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    def next(self) -> str:
        """Return an id that no other request has."""
        return f"{self._prefix}{next(self._numbers):x}"


class Meter:
    """Counts and times requests by route. Its rows are made once: finding a row costs as much as using it."""

    def __init__(self, api: str) -> None:
        self._api = api
        self._rows: dict[tuple[str, int], tuple[Histogram, Counter]] = {}

    def note(self, route: str, status: int, seconds: float) -> None:
        """Note one answered request."""
        row = self._rows.get((route, status))
        if row is None:
            row = self._rows[route, status] = (
                metrics.HTTP_SECONDS.labels(api=self._api, route=route),
                metrics.HTTP_REQUESTS.labels(api=self._api, route=route, status=status),
            )
        row[0].observe(seconds)
        row[1].inc()


def outermost(api: str, cors: Cors | None) -> Middleware:
    """Return the middleware of one API."""
    ids, meter = RequestIds(), Meter(api)

    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        if cors is not None and _is_preflight(request):
            response: web.StreamResponse = web.Response(status=204, headers=PREFLIGHT_HEADERS)
        else:
            try:
                response = await handler(request)
            # The last layer before the client: whatever it is becomes a row of the table, and is logged.
            except Exception as error:  # noqa: BLE001
                response = refused_response(error, api=api, request=request)
        headers = response.headers
        headers["Server"] = "uni4all"
        if "X-Request-Id" not in headers:
            headers["X-Request-Id"] = ids.next()
        if cors is not None:
            headers.update(cors.headers(request.headers.get("Origin")))
        meter.note(route_of(request), response.status, time.perf_counter() - started)
        return response

    return web.middleware(around)


def refused_response(error: Exception, *, api: str, request: web.Request) -> web.Response:
    """Return the answer to a request that was refused or failed, and log the reason under its id."""
    known = as_refused(error)
    answer = refusing.answer(
        known or error, api=api, method=request.method, path=request.path[:MAX_LOGGED_PATH]
    )
    row = INTERNAL if known is None else known.refusal
    response = json_response(orjson.dumps(answer), row.status)
    response.headers["X-Request-Id"] = answer["error"]["request_id"]
    if row.retry_after_s is not None:
        response.headers["Retry-After"] = str(row.retry_after_s)
    if row.status == MISSING_TOKEN.status:
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, web.HTTPMethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
    return response


def as_refused(error: Exception) -> Refused | None:
    """Return the refusal that an error stands for; None for a fault of ours."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, web.HTTPException) and 400 <= error.status < 500:
        return Refused(_BY_STATUS.get(error.status, INVALID_PAYLOAD))
    if isinstance(error, web.RequestPayloadError):
        return Refused(INVALID_PAYLOAD, "body: Not as its headers say")
    return None


def _is_preflight(request: web.Request) -> bool:
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def route_of(request: web.Request) -> str:
    """Return the pattern that the path matched, of which there are few."""
    resource = request.match_info.route.resource
    return UNMATCHED if resource is None else resource.canonical

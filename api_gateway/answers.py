"""The outermost layer of both APIs: refusals, request ids, CORS and metrics.

Every error becomes a row of the table of refusals; internals are never shown.
"""

import asyncio
import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import orjson
from aiohttp import HttpVersion11, web

from api_gateway.ready_response import ReadyResponse, line
from api_gateway.unread_answers import LONGEST_OF_A_WRITE, SMALL_BYTES, UnreadAnswers
from runtime import metrics, refusing
from runtime.bounded_runner import ENDS_READS, READING, SERVER, UNREAD_HEADERS
from schemas.refusals import (
    INTERNAL,
    INVALID_PAYLOAD,
    METHOD_NOT_ALLOWED,
    MISSING_TOKEN,
    NOT_FOUND,
    TOO_LARGE,
    Refused,
)

Handler = Callable[[web.Request], Awaitable[ReadyResponse]]
Around = Callable[[str, Handler], Handler]
"""Takes a route's pattern and its handler; returns what is called instead."""

UNMATCHED: Final = "unmatched"
CLIENT_GONE: Final = 499
"""The status that is counted if a client leaves before its body or answer is complete; never sent."""
MAX_LOGGED_PATH: Final = 200
PREFLIGHT_LINES: Final = (
    "Access-Control-Allow-Methods: GET, POST, PUT, DELETE\r\n"
    "Access-Control-Allow-Headers: Authorization, Content-Type\r\n"
    "Access-Control-Max-Age: 86400\r\n"
)
_EXPOSE: Final = "Access-Control-Expose-Headers: X-Request-Id, Retry-After\r\n"
_VARIES: Final = "Vary: Origin\r\n"
_WHY: Final = web.RequestKey("_WHY", web.HTTPException)
_BY_STATUS: Final = {404: NOT_FOUND, 405: METHOD_NOT_ALLOWED, 413: TOO_LARGE}


class Cors:
    """Which web pages may call: all of them, or those of the listed origins."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = origins
        self._all = "*" in origins

    def for_all(self) -> dict[str, str]:
        """Return the headers of answers to requests that could not be read: their origin is not known."""
        return dict(one.split(": ") for one in self.lines(None).splitlines())

    def lines(self, origin: str | None) -> str:
        """Return the header lines for a page of this origin: they let it call only where it may."""
        if self._all:
            return f"Access-Control-Allow-Origin: *\r\n{_EXPOSE}"
        if origin is None or origin not in self._origins:
            return _VARIES
        return f"{_VARIES}{line('Access-Control-Allow-Origin', origin)}{_EXPOSE}"


_PROCESS: Final = secrets.token_hex(6)
_numbers: Final = itertools.count(1)


def new_request_id() -> str:
    """Return an id for a successful request, at a tenth of a uuid's cost. Refusals have their own."""
    return f"{_PROCESS}{next(_numbers):x}"


class Meter:
    """Counts and times the requests of a route. Each metric's labels are looked up once: that costs as much
    as an increment."""

    def __init__(self, api: str, route: str) -> None:
        self._api = api
        self._route = route
        self._rows: dict[int, tuple[Callable[[float], None], Callable[[], None]]] = {}

    def record(self, status: int, seconds: float) -> None:
        """Count one answered request."""
        row = self._rows.get(status)
        if row is None:
            row = self._rows[status] = (
                metrics.HTTP_SECONDS.labels(api=self._api, route=self._route).observe,
                metrics.HTTP_REQUESTS.labels(api=self._api, route=self._route, status=status).inc,
            )
        observe, count = row
        observe(seconds)
        count()


class Api:
    """One of the two APIs: its handlers, each wrapped in the outermost layer, and one for unmatched paths.

    The layer is a wrapper and no middleware: an aiohttp middleware costs 3 µs a request.
    """

    def __init__(
        self,
        name: str,
        cors: Cors | None,
        *,
        max_body_bytes: int,
        unread: UnreadAnswers,
        around: Around | None = None,
    ) -> None:
        self._name = name
        self._cors = cors
        self._unread = unread
        self._around = around
        self.application = web.Application(client_max_size=max_body_bytes)
        self.application[ENDS_READS] = True
        self.application[UNREAD_HEADERS] = {} if cors is None else cors.for_all()
        self.application._router = router = _Router()  # noqa: SLF001 - to give it as an argument is deprecated
        unmatched = web.PlainResource("")
        router.unmatched = unmatched.add_route(
            "*", self._wrapped(UNMATCHED, _refuse_unmatched), expect_handler=_expect
        )

    def serve(self, method: str, path: str, handler: Handler) -> None:
        """Serve a path; a GET's also to HEAD."""
        for name in ("GET", "HEAD") if method == "GET" else (method,):
            self.application.router.add_route(
                name, path, self._wrapped(_pattern(path), handler), expect_handler=_expect
            )

    def _wrapped(self, route: str, handler: Handler) -> Handler:
        meter, cors = Meter(self._name, route), self._cors

        async def answer(request: web.Request) -> ReadyResponse:
            started = time.perf_counter()
            if cors is not None and _is_preflight(request):
                response = ReadyResponse(b"", PREFLIGHT_LINES, status=204)
            else:
                try:
                    response = await handler(request)
                    size = len(response.body)
                    if size > (SMALL_BYTES if request.method in READING else LONGEST_OF_A_WRITE):
                        self._unread.admit(response.caller, size)
                    if size > SMALL_BYTES:
                        response.unread = self._unread
                except asyncio.CancelledError:
                    meter.record(CLIENT_GONE, time.perf_counter() - started)
                    raise
                # The last layer before the client: any error becomes a row of the table, and is logged.
                except Exception as error:  # noqa: BLE001
                    response = refused_response(error, api=self._name, request=request)
            allowed = "" if cors is None else cors.lines(request.headers.get("Origin"))
            request_id = response.request_id or new_request_id()
            response.lines += f"Server: {SERVER}\r\nX-Request-Id: {request_id}\r\n{allowed}"
            meter.record(response.status, time.perf_counter() - started)
            return response

        return answer if self._around is None else self._around(route, answer)


class _Router(web.UrlDispatcher):
    """Sends what matches no route to ``unmatched``: the library would answer it by itself."""

    unmatched: web.ResourceRoute

    async def resolve(self, request: web.Request) -> web.UrlMappingMatchInfo:
        """Return the route of a request; the refusal of an unmatched one is kept for `_refuse_unmatched`."""
        found = await super().resolve(request)
        if found.http_exception is None:
            return found
        request[_WHY] = found.http_exception
        return web.UrlMappingMatchInfo({}, self.unmatched)


async def _refuse_unmatched(request: web.Request) -> ReadyResponse:
    """Refuse an unknown path, or an unknown method of a known path. Always raises."""
    # Taken out: the error's traceback keeps the request. If that kept the error, too, both would stay
    # until the garbage collector runs, which is rarely.
    raise request.pop(_WHY)


async def _expect(request: web.Request) -> None:
    """Ask for a body whose client waits for that. The library refuses other expectations by itself (417)."""
    if request.headers["Expect"].lower() == "100-continue" and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def refused_response(error: Exception, *, api: str, request: web.Request) -> ReadyResponse:
    """Return the answer to a refused or failed request, and log the reason under its id."""
    known = as_refused(error)
    answer = refusing.answer(
        known or error, api=api, method=request.method, path=request.path[:MAX_LOGGED_PATH]
    )
    row = INTERNAL if known is None else known.refusal
    response = ReadyResponse(orjson.dumps(answer), status=row.status)
    response.request_id = answer["error"]["request_id"]
    if known is not None and known.retry_after_s is not None:
        response.lines += f"Retry-After: {known.retry_after_s}\r\n"
    if row.status == MISSING_TOKEN.status:
        response.lines += "WWW-Authenticate: Bearer\r\n"
    if isinstance(error, web.HTTPMethodNotAllowed):
        response.lines += line("Allow", ", ".join(sorted(error.allowed_methods)))
    return response


def as_refused(error: Exception) -> Refused | None:
    """Return the refusal that an error stands for; None for a fault of ours."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, web.HTTPException) and 400 <= error.status < 500:
        return Refused(_BY_STATUS.get(error.status, INVALID_PAYLOAD))
    if isinstance(error, web.RequestPayloadError):
        return Refused(INVALID_PAYLOAD, "body: Does not match its headers")
    return None


def _is_preflight(request: web.Request) -> bool:
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def _pattern(path: str) -> str:
    """Return a route's name in metrics and traces: the same with and without a slash at its end."""
    return path.rstrip("/") or "/"

"""A web server with a bounded number of connections: one more is closed, and nothing is read from it.

TCP_NOTSENT_LOWAT limits each socket's unsent kernel buffer. Without it the kernel may hold megabytes for a
once-fast client, which our byte limits do not count.

An answer to a request whose body has not come whole says that the connection is closed: HAProxy 2.6 sends
somebody else's request on one whose last body it never sent.

The library bounds the size and the time of a request's head; requests that reach these bounds are counted
here. A head that cannot be parsed is answered by a row of the table of refusals, which repeats nothing of it.
"""

import asyncio
import socket
import sys
from functools import partial
from http import HTTPStatus
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError, LineTooLong
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from runtime import metrics, refusing
from runtime.bounded_parser import BoundedParser
from schemas.client_events import MAX_TOKEN_CHARS
from schemas.refusals import BAD_REQUEST, TOO_LARGE, Refused

KERNEL_AHEAD_BYTES: Final = 32_768
"""So many unsent bytes may wait in the kernel, where small ones take twice as much; more wait in the process,
where they are counted, and where clients share what they get."""

UNREAD_WITHIN_S: Final = 50.0
"""The kernel ends a connection whose peer has acknowledged nothing for so long: it is gone, or does not read.
Otherwise the rest of an answer could stay for ever, and a small one is counted nowhere. An edge's pings
notice it sooner; closing idle connections comes later, and would wait for that rest."""

MAX_FIELD_BYTES: Final = MAX_TOKEN_CHARS + 256
"""The size of a header with its name: the longest token that is accepted fits, with `Bearer`."""

MAX_LINE_BYTES: Final = 2_048
"""The address of a request: we serve none that is longer. A router looks up each part of a path together with
all before it, which took 5 ms for 8 KiB of slashes."""

SERVER: Final = "uni4all"
"""What answers say of their server. The library would name its own version, and Python's."""

UNREAD_HEADERS: Final = web.AppKey("UNREAD_HEADERS", dict[str, str])
"""Headers that an application adds to the answer (400, 413) to a head that could not be parsed."""

ENDS_READS: Final = web.AppKey("ENDS_READS", bool)
"""Set by an application whose GET and HEAD handlers are cancelled when their client disconnects. The handlers
of writes go on: none may stop halfway."""
READING: Final = frozenset({"GET", "HEAD"})

_OPEN: Final = metrics.LIMIT_HITS.labels(limit="open connections")
_LONG_HEADS: Final = metrics.LIMIT_HITS.labels(limit="long heads")
_SLOW_HEADS: Final = metrics.LIMIT_HITS.labels(limit="slow heads")
_STALLED: Final = metrics.LIMIT_HITS.labels(limit="stalled connections")


class BoundedRunner(web.AppRunner):
    """aiohttp's runner, with a bound for connections."""

    def __init__(self, app: web.Application, *, most: int, **options: Any) -> None:
        super().__init__(app, max_line_size=MAX_LINE_BYTES, max_field_size=MAX_FIELD_BYTES, **options)
        self._most = most
        app.on_response_prepare.append(_name_server)

    @property
    def server(self) -> Any:
        """Return the factory that makes a protocol for each connection."""
        return None if self._server is None else self._serve

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.request_factory = partial(self.app._make_request, _cls=_Request)  # noqa: SLF001 - no other way
        return server

    def _serve(self) -> asyncio.Protocol:
        server = self._server
        if server is None or len(server.connections) >= self._most:
            _OPEN.inc()
            return _TurnedAway()
        options = server._kwargs  # noqa: SLF001 - the server would make its own class by them
        return _Connection(server, self.app, loop=asyncio.get_running_loop(), **options)


class _Request(web.Request):
    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays open: if the client wishes it, and the whole body has come."""
        return super().keep_alive and self.content.is_eof()


async def _name_server(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER


class _TurnedAway(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).abort()


class _Connection(RequestHandler):
    __slots__ = ("_app",)

    def __init__(self, server: web.Server, app: web.Application, **options: Any) -> None:
        super().__init__(server, **options)
        self._app = app
        self._parser: Any = BoundedParser(self._parser)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept a connection, and set its socket options."""
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, KERNEL_AHEAD_BYTES)
        if sys.platform == "linux":
            unread_within_ms = int(1_000 * UNREAD_WITHIN_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, unread_within_ms)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Release a connection, and cancel its handler if that only reads."""
        if isinstance(exc, TimeoutError):
            _STALLED.inc()
        for head, _ in self._messages:
            if isinstance(head, _ErrInfo):
                _let_go(head.exc)
        request, task = self._current_request, self._task_handler
        super().connection_lost(exc)
        if task is not None and request is not None and request.method in READING and ENDS_READS in self._app:
            task.cancel()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that no handler has answered. The library's text repeats unparsed bytes."""
        if status != HTTPStatus.BAD_REQUEST or not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        _let_go(exc)
        too_long = _is_too_long(exc)
        if too_long:
            _LONG_HEADS.inc()
        refused = Refused(TOO_LARGE if too_long else BAD_REQUEST)
        answer = refusing.response(refused, fault=type(exc).__name__)
        answer.headers["Server"] = SERVER
        answer.headers.update(self._app.get(UNREAD_HEADERS, {}))
        answer.force_close()
        return answer

    def _process_keepalive(self) -> None:
        super()._process_keepalive()
        # A connection that has been served may be idle for so long: it hits no bound.
        if self._force_close and self._request_count == 0:
            _SLOW_HEADS.inc()


def _let_go(error: BaseException) -> None:
    """Free bytes that could not be parsed: the traceback holds them, and its frames hold the error.

    Such a cycle would wait for the garbage collector, which runs rarely.
    """
    error.__traceback__ = None


def _is_too_long(error: BaseException | None) -> bool:
    too_many = isinstance(error, BadHttpMessage) and error.message == "Too many headers received"
    return too_many or isinstance(error, LineTooLong)

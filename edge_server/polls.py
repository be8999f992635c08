"""Bounds the polls of a session: one request at a time, its body and its answer within time and size."""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from edge_server.arrivals import PACKETS_BEFORE_LOGIN
from edge_server.engine import Engine
from edge_server.settings import EdgeSettings
from runtime import metrics, refusing
from runtime.bodies import read_in_time, taken_in_time
from schemas.refusals import (
    OVERLOADED,
    RATE_LIMITED,
    SLOW_REQUEST,
    TOO_LARGE,
    UNSUPPORTED_ENCODING,
    Refused,
)

SEPARATOR: Final = b"\x1e"
"""Between the packets of a body."""

_SLOW_POLLS: Final = metrics.LIMIT_HITS.labels(limit="slow polls")


class PolledBodies:
    """Reads polled bodies: a bounded number at once, and none for too long.

    When half of MAX_BODIES is in use only bodies of logged-in sessions are read. A body before login is at
    most MAX_EVENT_BYTES: no CONNECT is longer.
    """

    def __init__(self, settings: EdgeSettings) -> None:
        self._most = settings.max_bodies
        self._most_of_newcomer = settings.max_event_bytes
        self._within_s = settings.body_within_s
        self._reading = 0

    async def read(self, request: web.Request, *, is_newcomer: bool) -> web.Request:
        """Read a whole body; return the request that keeps it. Raises `Refused`."""
        if "Content-Encoding" in request.headers:
            raise Refused(UNSUPPORTED_ENCODING)
        if self._reading >= ((self._most + 1) // 2 if is_newcomer else self._most):
            metrics.LIMIT_HITS.labels(limit="bodies").inc()
            raise refusing.NoCapacity if is_newcomer else Refused(OVERLOADED)
        if is_newcomer:
            request = request.clone(client_max_size=self._most_of_newcomer)
        self._reading += 1
        try:
            body = await read_in_time(request, self._within_s)
        except web.HTTPRequestEntityTooLarge as error:
            raise Refused(TOO_LARGE) from error
        except ConnectionError as error:
            # The client is gone and reads no answer; any other exception would be logged as our failure.
            raise Refused(SLOW_REQUEST) from error
        finally:
            self._reading -= 1
        if is_newcomer and body.count(SEPARATOR) >= PACKETS_BEFORE_LOGIN:
            raise Refused(TOO_LARGE)
        return request


class Polls:
    """Answers polls: one at a time for each session, as engine.io's clients send them.

    An answer that its client does not read has left all queues: its time is bounded only here. An answer that
    cannot be sent ends its session: many clients repeat the poll by themselves, and would miss its messages.
    """

    def __init__(self, settings: EdgeSettings, engine: Engine) -> None:
        # Pings are sent in these answers: a client that takes longer could not answer one in time.
        self._within_s = settings.ping_timeout_s
        self._engine = engine
        self._polling: set[str] = set()

    async def answer(self, request: web.Request, eio_sid: str, handler: Handler) -> web.StreamResponse:
        """Answer a poll; return when the answer has left. Raises `Refused` if its session polls already."""
        if eio_sid in self._polling:
            metrics.LIMIT_HITS.labels(limit="polls of a session").inc()
            raise Refused(RATE_LIMITED)
        self._polling.add(eio_sid)
        try:
            answer = await handler(request)
            try:
                async with taken_in_time(request, self._within_s, _SLOW_POLLS):
                    await answer.prepare(request)
                    await answer.write_eof()
            except ConnectionError:
                # The client is gone, which the web server notices itself: that is no failure of ours.
                await self._engine.answer_lost(eio_sid)
            return answer
        finally:
            self._polling.discard(eio_sid)

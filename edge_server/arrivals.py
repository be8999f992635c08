"""Bounds connections before login, in number and time, and refuses requests past the bounds.

A connection is an arrival until its handshake has succeeded. It is checked before anything is done for it: a
refusal costs one short answer.
"""

import asyncio
from collections.abc import Collection
from typing import Final
from urllib.parse import parse_qs

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from edge_server.engine import Engine
from edge_server.engine_requests import asks_for_websocket
from edge_server.polls import PACKETS_BEFORE_LOGIN, PolledBodies, Polls
from edge_server.settings import EdgeSettings
from runtime import metrics, refusing
from runtime.budgets import Budget
from schemas.refusals import Refused

CHECK_EVERY_S: Final = 1.0


class Arrivals:
    """The connections whose handshake is under way, by engine.io's session id.

    No I/O: times are arguments.
    """

    def __init__(self, settings: EdgeSettings) -> None:
        self._most = settings.max_handshakes
        self._within_s = settings.handshake_within_s
        self._budget = Budget(settings.connects_per_s, settings.connects_burst)
        self._since: dict[str, float] = {}
        self._packets: dict[str, int] = {}

    def __contains__(self, eio_sid: str) -> bool:
        """Whether this connection has not logged in yet."""
        return eio_sid in self._since

    def require_capacity(self, now: float) -> None:
        """Raise `NoCapacity` if no further connection may begin now."""
        if len(self._since) >= self._most:
            metrics.LIMIT_HITS.labels(limit="handshakes").inc()
            raise refusing.NoCapacity
        if self._budget.left(now) < 1:
            metrics.LIMIT_HITS.labels(limit="connects").inc()
            raise refusing.NoCapacity

    def begin(self, eio_sid: str, now: float) -> None:
        """Add a connection that has begun.

        Only connections that were let in are charged: a flood of refused ones must not create a debt.
        """
        self._budget.spend(now)
        self._since[eio_sid] = now
        self._packets[eio_sid] = 0

    def begin_again(self, eio_sid: str, now: float) -> None:
        """Add a connection whose client has left its session: it must not stay open without one."""
        self._since[eio_sid] = now

    def end(self, eio_sid: str) -> None:
        """Remove a connection: its handshake has succeeded, or it is gone."""
        self._since.pop(eio_sid, None)
        self._packets.pop(eio_sid, None)

    def admits_packet(self, eio_sid: str) -> bool:
        """Count a packet. Return False if a connection that has never logged in has sent too many."""
        if eio_sid not in self._packets:
            return True
        self._packets[eio_sid] += 1
        return self._packets[eio_sid] <= PACKETS_BEFORE_LOGIN

    def overdue(self, now: float) -> list[str]:
        """Return the connections that have taken too long. (The mapping is in the order of their begin.)"""
        late = []
        for eio_sid, since in self._since.items():
            if now - since < self._within_s:
                break
            late.append(eio_sid)
        return late


def gate(settings: EdgeSettings, arrivals: Arrivals, engine: Engine) -> Middleware:
    """Return the middleware that refuses connections, polls and bodies past their bounds.

    A body that belongs to no session of the ``engine`` is not read: engine.io refuses the request without it.
    Nor is one that is sent to an unknown path.
    Pages of the allowed origins may read the refusals, as they may read engine.io's answers.
    """
    bodies, polls, origins = PolledBodies(settings), Polls(settings, engine), settings.origins

    @web.middleware
    async def pass_through(request: web.Request, handler: Handler) -> web.StreamResponse:
        if (no_route := request.match_info.http_exception) is not None:
            return _unmatched(no_route)
        try:
            eio_sid = _session_id(request)
            if request.method == "POST":
                if eio_sid is not None and eio_sid in engine.sockets:
                    request = await bodies.read(request, is_newcomer=eio_sid in arrivals)
            elif request.method == "GET":
                if eio_sid is None:
                    arrivals.require_capacity(asyncio.get_running_loop().time())
                elif not asks_for_websocket(request):
                    return await polls.answer(request, eio_sid, handler)
            return await handler(request)
        except Refused as refused:
            return _refusal(refused, _allowed_origin(request, origins))

    return pass_through


def _unmatched(no_route: web.HTTPException) -> web.Response:
    """Return aiohttp's own answer. Raised, it would keep its request until the garbage collector runs, which
    is rarely: anybody could fill the memory."""
    return web.Response(status=no_route.status, text=no_route.text, headers=no_route.headers)


def _session_id(request: web.Request) -> str | None:
    """Return the session id of a request; None for a new connection.

    The query is parsed as engine.io does: a request that we read otherwise would bypass the bounds.
    """
    found = parse_qs(request.query_string).get("sid")
    return None if found is None else found[0]


def _allowed_origin(request: web.Request, origins: Collection[str]) -> str | None:
    """Return the request's origin if its page may read the answer."""
    origin = request.headers.get("Origin")
    return origin if "*" in origins or origin in origins else None


def _refusal(refused: Refused, allowed_origin: str | None) -> web.Response:
    response = refusing.response(refused)
    if allowed_origin is not None:
        response.headers["Access-Control-Allow-Origin"] = allowed_origin
    response.force_close()
    return response

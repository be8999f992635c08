"""Refuses requests past the bounds, before anything is done for them: a refusal costs one short answer."""

import asyncio
from collections.abc import Collection
from urllib.parse import parse_qs

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from edge_server.arrivals import Arrivals
from edge_server.engine import Engine
from edge_server.engine_requests import asks_for_websocket
from edge_server.polls import PolledBodies, Polls
from edge_server.settings import EdgeSettings
from runtime import refusing
from schemas.refusals import Refused


def gate(settings: EdgeSettings, arrivals: Arrivals, engine: Engine) -> Middleware:
    """Return the middleware that refuses connections, polls and bodies past their bounds.

    A body is not read if it belongs to no session of the ``engine``, which refuses the request without it, or
    is sent to an unknown path. Pages of the allowed origins may read the refusals, as they may read
    engine.io's answers.
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

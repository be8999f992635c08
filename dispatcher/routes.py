"""The operators' routes on the ops port: the table as JSON, wishes, and the page that shows both.

The page itself holds no secret; everything else requires the operators' token. Answers come from memory.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from pydantic import ValidationError

from dispatcher.leadership import Leadership
from dispatcher.settings import DispatcherSettings
from dispatcher.shown import Shown, show_published, show_term
from dispatcher.wishes import Wishes
from runtime import refusing
from runtime.assignments import Assignments
from runtime.bearer import check_bearer
from schemas.log_records import EdgesAsked
from schemas.refusals import (
    INVALID_PAYLOAD,
    NOT_FOUND,
    Refused,
)

Handler = Callable[[web.Request], Awaitable[Any]]

PAGE: Final = Path(__file__).parent / "page"
PAGE_FILES: Final = ("page.js", "circle.js", "nodes.js", "page.css")
PAGE_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Operators:
    """Answers operators: from the leader's term if this dispatcher leads, otherwise from ``published``."""

    def __init__(self, settings: DispatcherSettings, leadership: Leadership, published: Assignments) -> None:
        self._token = settings.dispatcher_token.get_secret_value()
        self._leadership = leadership
        self._published = published
        self._wishes = Wishes(settings, published)

    def add_routes(self, app: web.Application) -> None:
        """Serve everything from ``app``."""
        app.router.add_get("/", _file(PAGE / "index.html"))
        for name in PAGE_FILES:
            app.router.add_get(f"/page/{name}", _file(PAGE / name))
        app.router.add_get("/table", self._authorized(self._table))
        app.router.add_post("/edges/{edge}/drain", self._authorized(self._drain))
        app.router.add_post("/edges/{edge}/undrain", self._authorized(self._undrain))
        app.router.add_post("/edges-asked", self._authorized(self._edges_asked))

    def _authorized(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            try:
                check_bearer(request.headers.get("Authorization"), self._token)
                return web.json_response(await handler(request))
            except Refused as refused:
                return refusing.response(refused)

        return handle

    async def _table(self, _request: web.Request) -> Shown:
        leader = self._leadership.leader
        if leader is not None and leader.term is not None:
            return show_term(leader.term, leader.clock.now)
        return show_published(self._published.table)

    async def _drain(self, request: web.Request) -> Shown:
        edge = request.match_info["edge"]
        if edge not in {known["edge"] for known in (await self._table(request))["edges"]}:
            raise Refused(NOT_FOUND, "No such edge is known here.")
        await self._wishes.drain(edge, True)
        return {"ok": True}

    async def _undrain(self, request: web.Request) -> Shown:
        try:
            await self._wishes.drain(request.match_info["edge"], False)
        except ValidationError as error:
            raise Refused(NOT_FOUND, "An edge cannot have this name.") from error
        return {"ok": True}

    async def _edges_asked(self, request: web.Request) -> Shown:
        try:
            asked = EdgesAsked.model_validate_json(await request.read())
        except ValidationError as error:
            raise Refused(INVALID_PAYLOAD, 'The body is not like {"edges": 3}.') from error
        await self._wishes.edges(asked.edges)
        return {"ok": True}


def _file(path: Path) -> Callable[[web.Request], Awaitable[web.FileResponse]]:
    async def handle(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(path, headers=PAGE_HEADERS)

    return handle

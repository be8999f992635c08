"""One row a route: the wiring of handlers and the OpenAPI document both come from it.

It reads and checks a request's arguments; it knows no route itself.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel

from api_gateway.access import Identify
from api_gateway.answers import Api
from api_gateway.bodies import Bodies
from api_gateway.ready_response import ReadyResponse
from schemas.api import GroupAccepted, MemberAccepted, NoArguments, Request, UserAccepted
from schemas.refusals import BAD_JSON, INVALID_PAYLOAD, MAX_WHERE_CHARS, Refusal, Refused, checked

A = TypeVar("A", bound=Request)

WRITTEN: Final = (HTTPStatus.OK, HTTPStatus.ACCEPTED)
CREATED: Final = (HTTPStatus.CREATED, HTTPStatus.ACCEPTED)
"""The statuses of durable writes: see `accepted`."""


def reply(value: BaseModel | dict[str, Any], status: int = HTTPStatus.OK) -> ReadyResponse:
    """Return an answer with a model, or with the fields of one, as JSON."""
    if isinstance(value, BaseModel):
        return ReadyResponse(value.model_dump_json(by_alias=True).encode(), status=status)
    return ReadyResponse(orjson.dumps(value), status=status)


def accepted(
    written: GroupAccepted | MemberAccepted | UserAccepted, status: int = HTTPStatus.OK
) -> ReadyResponse:
    """Return the answer to a durable write: 202 if MongoDB does not hold it yet."""
    return reply(written, status if written.stored else HTTPStatus.ACCEPTED)


@dataclass(frozen=True)
class Route(Generic[A]):
    """One route. ``takes`` holds all its arguments: those in the path, and those in the query or the body.

    ``handle`` takes the caller and the arguments; its docstring is the route's summary for clients.
    """

    method: str
    path: str
    takes: type[A]
    answers: type[BaseModel]
    handle: Callable[[str, A], Awaitable[ReadyResponse]]
    refusals: tuple[Refusal, ...] = ()
    statuses: tuple[int, ...] = (HTTPStatus.OK,)

    @property
    def path_names(self) -> list[str]:
        """Return the names of the arguments in the path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


def add_routes(
    api: Api,
    routes: Sequence[Route[Any]],
    identify: Identify,
    bodies: Bodies,
) -> None:
    """Serve the rows, each with and without a slash at its end."""
    for route in routes:
        handler = _handler(route, identify, bodies)
        bare = route.path.rstrip("/")
        for path in (bare, f"{bare}/"):
            api.serve(route.method, path, handler)


def _handler(
    route: Route[Any], identify: Identify, bodies: Bodies
) -> Callable[[web.Request], Awaitable[ReadyResponse]]:
    nothing = NoArguments() if route.takes is NoArguments else None

    async def handle(request: web.Request) -> ReadyResponse:
        caller = identify(request.headers.get("Authorization"))
        if nothing is not None and "?" not in request.raw_path and not request.can_read_body:
            response = await route.handle(caller, nothing)
        else:
            response = await route.handle(caller, await _arguments(route, request, caller, bodies))
        response.caller = caller
        return response

    return handle


async def _arguments(route: Route[A], request: web.Request, caller: str, bodies: Bodies) -> A:
    """Return the checked arguments: path, query (GET only) and body. Raises `Refused`."""
    given = await _body(request, caller, bodies)
    if route.method == "GET":
        given = _joined(_query(request), given)
    elif request.query:
        where = next(iter(request.query))
        raise Refused(INVALID_PAYLOAD, f"{where[:MAX_WHERE_CHARS]}: Only GET takes a query")
    return checked(route.takes, _joined(given, dict(request.match_info)))


def _query(request: web.Request) -> dict[str, Any]:
    given = dict(request.query)
    if len(given) < len(request.query):
        twice = Counter(name for name, _ in request.query.items()).most_common(1)[0][0]
        raise Refused(INVALID_PAYLOAD, f"{twice[:MAX_WHERE_CHARS]}: Given twice")
    return given


async def _body(request: web.Request, caller: str, bodies: Bodies) -> dict[str, Any]:
    raw = await bodies.read(request, caller) if request.can_read_body else b""
    if not raw:
        return {}
    try:
        given = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refused(BAD_JSON) from error
    if not isinstance(given, dict):
        raise Refused(INVALID_PAYLOAD, "body: Input should be an object")
    return given


def _joined(some: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    twice = sorted(some.keys() & others.keys())
    if twice:
        raise Refused(INVALID_PAYLOAD, f"{twice[0]}: Given twice")
    return {**some, **others}

"""The documents agree with the routes, because both come from the same rows."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import SecretStr

from api_gateway.answers import Api
from api_gateway.history import History
from api_gateway.internal_routes import InternalApi
from api_gateway.location import Locations
from api_gateway.openapi import EVERYWHERE, OF_STUDENTS, document
from api_gateway.posting import Posting
from api_gateway.public_routes import PublicApi
from api_gateway.reading_turns import ReadsOfUsers
from api_gateway.routing import Route, add_routes
from api_gateway.settings import GatewaySettings
from api_gateway.users import Users
from runtime.assignments import Assignments
from schemas.refusals import HISTORY_UNAVAILABLE, NOT_A_MEMBER, OVERLOADED, TABLE, Refusal, Refused
from tests.unit.api_gateway.parts import ANY_BODIES, INTERNAL, PUBLIC, UNBOUNDED, GroupParts
from tests.unit.documents import walk

UP = "up201906045"
SETTINGS = GatewaySettings(token_secret=SecretStr("x" * 32))

both = pytest.mark.parametrize("routes", [PUBLIC, INTERNAL], ids=["public", "internal"])
every = pytest.mark.parametrize(
    "route", [*PUBLIC, *INTERNAL], ids=lambda route: f"{route.method} {route.path}"
)


def operation_of(route: Route[Any]) -> dict[str, Any]:
    operation: dict[str, Any] = document("t", "a", [route])["paths"][route.path][route.method.lower()]
    return operation


def documented(route: Route[Any], everywhere: Sequence[Refusal] = EVERYWHERE) -> set[Refusal]:
    """Return the refusals that the document of a route names, each under its status."""
    paths = document("t", "a", [route], everywhere)["paths"]
    responses = paths[route.path][route.method.lower()]["responses"]
    return {
        row
        for row in TABLE.values()
        if f"`{row.code}`" in responses.get(str(row.status), {}).get("description", "")
    }


@both
def test_what_is_served_is_what_is_documented(routes: list[Route[Any]]) -> None:
    api = Api("public", None, max_body_bytes=1_000, unread=UNBOUNDED)
    add_routes(api, routes, lambda _: "up201906045", ANY_BODIES)
    served = {
        (one.method, one.resource.canonical.rstrip("/"))
        for one in api.application.router.routes()
        if one.resource is not None and one.method not in ("HEAD", "*")
    }
    paths = document("title", "about", routes)["paths"]
    documented = {(method.upper(), path.rstrip("/")) for path, found in paths.items() for method in found}
    assert served == documented
    assert len(documented) == len(routes)


@both
def test_every_reference_leads_somewhere_and_no_schema_is_left_over(routes: list[Route[Any]]) -> None:
    whole = document("title", "about", routes)
    schemas = whole["components"]["schemas"]
    used = {node["$ref"].removeprefix("#/components/schemas/") for node in walk(whole) if "$ref" in node}
    assert used == set(schemas)


@both
def test_no_schema_has_the_name_of_another_s_constructor_in_go(routes: list[Route[Any]]) -> None:
    schemas = document("title", "about", routes)["components"]["schemas"]
    assert not [name for name in schemas if f"New{name}" in schemas]


@both
def test_every_body_is_a_schema_with_a_name(routes: list[Route[Any]]) -> None:
    bodies = [node["requestBody"] for node in walk(document("t", "a", routes)) if "requestBody" in node]
    assert bodies
    assert all(list(one["content"]["application/json"]["schema"]) == ["$ref"] for one in bodies)


@both
def test_what_a_parameter_says_stands_beside_its_schema(routes: list[Route[Any]]) -> None:
    parameters = [one for node in walk(document("t", "a", routes)) for one in node.get("parameters", [])]
    said = {one["name"]: one["description"] for one in parameters if "description" in one}
    assert said.keys() >= {"before", "after"}
    assert not [one for one in parameters if "description" in one["schema"]]


@both
def test_operations_have_names_of_their_own(routes: list[Route[Any]]) -> None:
    names = [operation_of(route)["operationId"] for route in routes]
    assert len(set(names)) == len(names)


@every
def test_every_route_says_in_one_line_what_it_is_for(route: Route[Any]) -> None:
    summary = operation_of(route)["summary"]
    assert summary
    assert "\n" not in summary


@every
def test_every_argument_is_documented_once_in_the_place_where_it_is_read(route: Route[Any]) -> None:
    operation = operation_of(route)
    schema = route.takes.model_json_schema()
    parameters = {one["name"]: one["in"] for one in operation["parameters"]}
    assert {name for name, place in parameters.items() if place == "path"} == set(route.path_names)
    assert set(route.path_names) <= set(schema.get("properties", {}))
    in_body = (
        operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    )
    if "$ref" in in_body:
        in_body = document("t", "a", [route])["components"]["schemas"][route.takes.__name__]
    rest = set(in_body.get("properties", {}))
    assert set(parameters) | rest == set(schema.get("properties", {}))
    assert not set(parameters) & rest


@every
def test_every_refusal_is_documented_once_by_its_code(route: Route[Any]) -> None:
    assert not set(EVERYWHERE) & set(route.refusals)
    responses = operation_of(route)["responses"]
    for row in (*EVERYWHERE, *route.refusals):
        assert row in documented(route)
        if row.retry_after_s is not None:
            assert "Retry-After" in responses[str(row.status)]["headers"]


@every
def test_only_students_are_refused_for_the_rate_or_the_age_of_their_token(route: Route[Any]) -> None:
    assert not documented(route) & set(OF_STUDENTS)
    assert documented(route, (*EVERYWHERE, *OF_STUDENTS)) - documented(route) == set(OF_STUDENTS)


@pytest.mark.parametrize("route", PUBLIC, ids=lambda route: f"{route.method} {route.path}")
def test_only_where_a_student_names_a_group_that_is_there_may_they_be_no_member(route: Route[Any]) -> None:
    assert (NOT_A_MEMBER in documented(route)) == ("{group}" in route.path)


class Away:
    """A store that is away."""

    async def find(self, *_: Any, **__: Any) -> None:
        raise Refused(HISTORY_UNAVAILABLE)

    aggregate = up_to = find


def routes_of(parts: GroupParts) -> list[Route[Any]]:
    """Return all rows, in front of these groups, a store that is away and no table."""
    away: Any = Away()
    writer: Any = parts.writer
    history, users = History(away, away, SETTINGS), Users(away, writer, away, Assignments())
    posting = Posting(parts.members, writer, away, history)
    public = PublicApi(Locations(Assignments()), history, parts.groups, parts.members, users, ReadsOfUsers(1))
    return [*public.routes(), *InternalApi(history, parts.groups, posting, users).routes()]


@pytest.mark.parametrize("number", range(len(PUBLIC) + len(INTERNAL)))
@pytest.mark.parametrize("fault", [None, "reading chat.memberships"])
async def test_what_a_route_refuses_while_things_are_away_is_documented(
    number: int, fault: str | None
) -> None:
    parts = GroupParts()
    parts.fault, parts.writer.refuses = fault, Refused(OVERLOADED)
    parts.memberships.set_member("maths", UP, member=True)
    route = routes_of(parts)[number]
    given: dict[str, Any] = {
        "group": "maths",
        "groupID": "maths",
        "id": "maths",
        "up": UP,
        "from": UP,
        "name": "Maths",
    }
    given |= {"message": "text", "username": "ana", "online": True}
    required = route.takes.model_json_schema().get("required", [])
    assert set(required) <= set(given), "add an example of it here"
    arguments = {name: given[name] for name in required}
    refused = await asyncio.gather(
        route.handle(UP, route.takes.model_validate(arguments)), return_exceptions=True
    )
    assert {one.refusal for one in refused if isinstance(one, Refused)} <= documented(route)
    assert not [one for one in refused if isinstance(one, Exception) and not isinstance(one, Refused)]


@every
def test_a_route_says_what_it_is_for_and_what_it_answers(route: Route[Any]) -> None:
    operation = operation_of(route)
    assert operation["summary"].endswith(".")
    assert {str(int(status)) for status in route.statuses} <= set(operation["responses"])
    assert set(route.statuses) <= {200, 201, 202}


@both
def test_a_bound_is_said_in_the_words_of_json_schema(routes: list[Route[Any]]) -> None:
    said = document("title", "about", routes)
    assert not [one for one in walk(said) if {"ge", "le", "gt", "lt"} & one.keys()]

"""The OpenAPI 3.1 document of an API, from the same rows that its handlers are wired by. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode

from api_gateway.ready_response import JSON
from api_gateway.routing import Route
from schemas.json_schema import REF, schemas_of
from schemas.refusals import (
    BAD_JSON,
    BAD_REQUEST,
    EXPIRED_TOKEN,
    INTERNAL,
    INVALID_PAYLOAD,
    INVALID_TOKEN,
    MISSING_TOKEN,
    OVERLOADED,
    RATE_LIMITED,
    SLOW_REQUEST,
    TOO_LARGE,
    UNSUPPORTED_ENCODING,
    ErrorAnswer,
    Refusal,
)

Document = dict[str, Any]

EVERYWHERE: Final = (
    BAD_JSON,
    BAD_REQUEST,
    INVALID_PAYLOAD,
    TOO_LARGE,
    UNSUPPORTED_ENCODING,
    SLOW_REQUEST,
    MISSING_TOKEN,
    INVALID_TOKEN,
    OVERLOADED,
    INTERNAL,
)
"""What any request can be refused with. A body may come with every method, and any answer may be large."""
OF_STUDENTS: Final = (EXPIRED_TOKEN, RATE_LIMITED)
"""And on the public API: the solution's token does not expire, and its requests have no budget."""
BODIES: Final = frozenset({"POST"})


def document(
    title: str, about: str, routes: Sequence[Route[Any]], everywhere: Sequence[Refusal] = EVERYWHERE
) -> Document:
    """Return the document of these rows, each of which can also be refused as ``everywhere`` says."""
    paths: defaultdict[str, Document] = defaultdict(dict)
    for route in routes:
        paths[route.path][route.method.lower()] = _operation(route, everywhere)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": about},
        "servers": [{"url": "/", "description": "The gateway that serves this document."}],
        "security": [{"bearer": []}],
        "paths": dict(paths),
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(routes),
        },
    }


def _operation(route: Route[Any], everywhere: Sequence[Refusal]) -> Document:
    operation: Document = {
        "operationId": route.handle.__name__,
        "tags": [_tag(route)],
        "summary": route.handle.__doc__ or "",
        "description": (route.takes.__doc__ or "").replace("``", "`"),
        "parameters": _parameters(route),
        "responses": {**_answers(route), **_refused((*everywhere, *route.refusals))},
    }
    if route.method in BODIES:
        body = {"$ref": REF.format(model=route.takes.__name__)}
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": body}}}
    return operation


def _tag(route: Route[Any]) -> str:
    """Return what a route is about: the first fixed word of its path after ``chat``."""
    words = [part for part in route.path.split("/") if part and not part.startswith("{")]
    return words[1] if words[0] == "chat" else words[0]


def _parameters(route: Route[Any]) -> list[Document]:
    schema = _arguments_schema(route)
    in_path = route.path_names
    in_query = [] if route.method in BODIES else [n for n in schema["properties"] if n not in in_path]
    required = set(schema.get("required", []))
    return [
        {
            "name": name,
            "in": place,
            "required": name in required,
            **_parameter_schema(schema["properties"][name]),
        }
        for place, names in (("path", in_path), ("query", in_query))
        for name in names
    ]


def _parameter_schema(schema: Document) -> Document:
    """Return a parameter's schema, with its description beside it, where generators expect it."""
    described: Document = {"schema": dict(schema)}
    if "description" in schema:
        described["description"] = described["schema"].pop("description")
    return described


def _arguments_schema(route: Route[Any]) -> Document:
    return schemas_of([(route.takes, "validation")])[route.takes.__name__]


def _body(route: Route[Any]) -> Document:
    """Return the schema of the body: the arguments without those that stand in the path."""
    schema = _arguments_schema(route)
    for name in route.path_names:
        del schema["properties"][name]
    schema["required"] = [name for name in schema["required"] if name not in route.path_names]
    return schema


def _answers(route: Route[Any]) -> Document:
    schema = {"$ref": REF.format(model=route.answers.__name__)}
    return {
        str(int(status)): {
            "description": HTTPStatus(status).phrase,
            "headers": _headers(),
            "content": {JSON: {"schema": schema}},
        }
        for status in route.statuses
    }


def _refused(rows: Iterable[Refusal]) -> Document:
    by_status: defaultdict[int, list[Refusal]] = defaultdict(list)
    for row in rows:
        by_status[row.status].append(row)
    return {
        str(status): {
            "description": "\n".join(f"- `{row.code}`: {row.message}" for row in same),
            "headers": _headers(retry=any(row.retry_after_s is not None for row in same)),
            "content": {JSON: {"schema": {"$ref": REF.format(model=ErrorAnswer.__name__)}}},
        }
        for status, same in sorted(by_status.items())
    }


def _headers(*, retry: bool = False) -> Document:
    headers: Document = {"X-Request-Id": {"description": "Names this request.", "schema": {"type": "string"}}}
    if retry:
        headers["Retry-After"] = {
            "description": "Seconds after which the same request may work.",
            "schema": {"type": "integer"},
        }
    return headers


def _schemas(routes: Sequence[Route[Any]]) -> Document:
    answers: set[type[BaseModel]] = {ErrorAnswer, *(route.answers for route in routes)}
    written: list[tuple[type[BaseModel], JsonSchemaMode]] = [(one, "serialization") for one in answers]
    bodies = {route.takes.__name__: _body(route) for route in routes if route.method in BODIES}
    return schemas_of(written) | bodies

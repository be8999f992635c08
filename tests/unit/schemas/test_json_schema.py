"""What generators of clients make of the models: the right types."""

from typing import Annotated, Any

import jsonschema
import pytest
from pydantic import BaseModel, Field

from api_gateway.openapi import document
from schemas import asyncapi
from schemas.client_events import Joined
from schemas.ids import GroupId
from schemas.json_schema import schemas_of
from schemas.refusals import ErrorAnswer
from tests.unit.api_gateway.parts import INTERNAL, PUBLIC
from tests.unit.documents import walk

DOCUMENTS = {
    "public": document("t", "a", PUBLIC),
    "internal": document("t", "a", INTERNAL),
    "events": asyncapi.for_clients(),
    "topics": asyncapi.for_the_solution(),
}

every = pytest.mark.parametrize("described", DOCUMENTS.values(), ids=DOCUMENTS.keys())


class Example(BaseModel):
    """One field of each kind."""

    seq: Annotated[int, Field(ge=0)] | None = None
    name: str | None
    seen: dict[GroupId, int]


@every
def test_a_whole_number_has_64_bits(described: dict[str, Any]) -> None:
    whole = [one for one in walk(described["components"]["schemas"]) if one.get("type") == "integer"]
    whole += [one for one in walk(described.get("paths")) if "minimum" in one]
    assert whole
    assert all(one["format"] == "int64" for one in whole)


@every
def test_nothing_is_null_by_default(described: dict[str, Any]) -> None:
    assert not [one for one in walk(described) if "default" in one and one["default"] is None]


def test_what_may_be_left_out_of_a_request_need_not_be_null() -> None:
    fields = schemas_of([(Example, "validation")])["Example"]["properties"]
    assert fields["seq"] == {"type": "integer", "minimum": 0, "format": "int64"}
    assert {"type": "null"} in fields["name"]["anyOf"]


def test_what_is_written_as_null_may_be_null() -> None:
    fields = schemas_of([(Example, "serialization")])["Example"]["properties"]
    assert {"type": "null"} in fields["seq"]["anyOf"]


def test_a_refusal_leaves_out_when_to_retry_and_never_says_null() -> None:
    body = schemas_of([(ErrorAnswer, "serialization")])["RefusalBody"]
    assert body["properties"]["retry_after"]["type"] == "integer"
    assert "retry_after" not in body["required"]


def test_what_a_map_holds_is_known_and_so_are_its_keys() -> None:
    found = schemas_of([(Joined, "serialization")])
    rooms = found["Joined"]["properties"]["rooms"]
    assert rooms["additionalProperties"] == {"$ref": "#/components/schemas/RoomJoined"}
    validator = jsonschema.Draft202012Validator(
        {"$ref": "#/components/schemas/Joined", "components": {"schemas": found}}
    )
    joined = {"head": 1, "recovered": True, "missed": 0}
    assert validator.is_valid({"rooms": {"maths": joined}})
    assert not validator.is_valid({"rooms": {"maths": {}}})
    assert not validator.is_valid({"rooms": {"/": joined}})


@every
def test_only_models_have_titles(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    assert all(one["title"] == name for name, one in schemas.items())
    fields = [field for one in schemas.values() for field in one["properties"].values()]
    assert not [one for one in fields if "title" in one]

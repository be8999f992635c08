"""The AsyncAPI documents have every event and record, and agree with the official schema."""

import inspect
import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from deploy.repository import REPOSITORY
from schemas import asyncapi, client_events, log_records, topics
from schemas.assignments import TableAssigned
from tests.unit.documents import walk

OFFICIAL = REPOSITORY / "tests/integration/socketio_js/node_modules/@asyncapi/specs/schemas/3.0.0.json"
DOCUMENTS = {"for clients": asyncapi.for_clients(), "for the solution": asyncapi.for_the_solution()}

both = pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())


def references(node: Any) -> Iterator[str]:
    return (one["$ref"] for one in walk(node) if isinstance(one.get("$ref"), str))


def found(document: dict[str, Any], reference: str) -> Any:
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


@pytest.mark.skipif(not OFFICIAL.exists(), reason="AsyncAPI's own schema comes by npm, which is not here")
@both
def test_the_document_is_valid_by_asyncapi_s_own_schema(document: dict[str, Any]) -> None:
    schema = json.loads(OFFICIAL.read_text())
    jsonschema.Draft7Validator(schema).validate(document)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate({**document, "channels": {"x": {"adress": "/"}}})


@both
def test_every_reference_leads_somewhere_and_nothing_is_left_over(document: dict[str, Any]) -> None:
    used = set(references(document))
    for reference in used:
        found(document, reference)
    for kind in ("messages", "schemas"):
        assert {f"#/components/{kind}/{name}" for name in document["components"][kind]} <= used


def test_every_event_of_the_contract_is_in_the_document() -> None:
    names = {
        value for name, value in vars(client_events).items() if name.isupper() and isinstance(value, str)
    }
    assert {event.name for event in (*asyncapi.FROM_CLIENTS, *asyncapi.FROM_EDGES)} == {*names, "connect"}, (
        "each has a row in schemas/asyncapi.py"
    )
    sent = {
        one
        for one in vars(client_events).values()
        if inspect.isclass(one) and issubclass(one, client_events.ClientEvent)
    }
    assert {event.payload for event in asyncapi.FROM_CLIENTS} == sent - {client_events.ClientEvent}


def test_every_topic_and_every_kind_of_record_is_in_the_document() -> None:
    assert [row.topic for row in asyncapi.ON_TOPICS] == list(topics.ALL), "schemas/asyncapi.py has their rows"
    kinds = {
        one
        for one in vars(log_records).values()
        if inspect.isclass(one) and issubclass(one, log_records.Record)
    }
    described = {kind for row in asyncapi.ON_TOPICS for kind in row.records}
    assert described == (kinds - {log_records.Record}) | {TableAssigned}, (
        "a row in schemas/asyncapi.py has each"
    )


def test_topics_have_the_names_of_their_generation() -> None:
    for generation in (1, 2):
        channels = asyncapi.for_the_solution(generation)["channels"]
        for name in topics.ALL:
            of_kafka = topics.in_generation(name, generation)
            assert channels[name]["address"] == channels[name]["title"] == of_kafka
            assert channels[name]["bindings"]["kafka"]["topic"] == of_kafka


def test_the_document_says_by_what_a_message_is_known() -> None:
    """By CloudEvents' rule, source and id, messages of two groups would be one, and a retry another one."""
    one, other = (
        log_records.encode(
            log_records.MessageSent(id="1", group=group, up="up201906045", message="olá", sent_at=0),
            key=group,
            source="edge-1",
        )
        for group in ("a", "b")
    )
    for name in ("ce_source", "ce_id"):
        assert log_records.header(one.headers, name) == log_records.header(other.headers, name)
    messages = DOCUMENTS["for the solution"]["components"]["messages"]
    assert "same key and `ce_id`" in messages[log_records.MessageSent.ce_type]["summary"]


def test_every_channel_is_used_by_an_operation_or_as_its_reply() -> None:
    document = DOCUMENTS["for the solution"]
    used = {one for one in references(document["operations"]) if one.count("/") == 2}
    assert used == {f"#/channels/{name}" for name in document["channels"]}


def test_clients_are_told_nothing_of_topics() -> None:
    said = json.dumps(DOCUMENTS["for clients"])
    assert not any(topic in said for topic in topics.ALL)
    assert "kafka" not in said.lower()


@both
def test_every_message_says_what_it_is(document: dict[str, Any]) -> None:
    for message in document["components"]["messages"].values():
        assert message["summary"].split()
        assert found(document, message["payload"]["$ref"])["title"] == message["title"]

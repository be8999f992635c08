"""Records as earlier versions wrote them: new readers read them, and old readers read what is written now.

Both versions run during an upgrade, and compacted topics keep old records for good. Add lines, and never
change one.
"""

import json
from typing import Any

import pytest

from schemas.log_records import Record, message_value
from tests.unit.schemas.record_kinds import KINDS

WRITTEN = """
message.sent     {"id":"m1","group":"g1","up":"up201900001","message":"olá","sentAt":1700000000000}
group.created    {"group":"g1","name":"Olá","createdBy":null}
group.created    {"group":"g1","name":"Ours","createdBy":"up201900001"}
member.joined    {"group":"g1","up":"up201900001"}
profile.changed  {"up":"up201900001","username":"ana","name":"Ana"}
presence.changed {"up":"up201900001","online":true}
presence.changed {"up":"up201900001","online":false,"edge":"a"}
presence.changed {"up":"up201900001","online":true,"edge":"a","process":"5f"}
edge.reported    {"edge":"a","url":"http://a","capacity":9,"connected":3,"state":"serving"}
edge.reported    {"edge":"a","url":"http://a","capacity":9,"connected":3,"state":"draining","messagesPerS":0.5}
edge.reported    {"edge":"a","url":"http://a","capacity":9,"connected":0,"state":"stopped","spread":[1,2]}
edge.reported    {"edge":"a","url":"http://a","capacity":9,"connected":1,"state":"serving","process":"5f"}
edge.reported    {"edge":"a","url":"http://a","capacity":9,"connected":2,"state":"serving","deaf":true}
drain.asked      {"edge":"a","drain":true}
edges.asked      {"edges":3}
leader.ticked    {"leader":"bac30d","number":1}
table.assigned   {"epoch":1,"version":2,"shards":[{"start":0,"end":1000000000,"edge":null}],"urls":{"a":"b"}}
table.assigned   {"epoch":1,"version":2,"shards":[{"start":0,"end":1000000000,"edge":"a"}],"urls":{"a":"b"},\
"draining":["a"],"edgesAsked":3,"leader":"vm:1"}
table.assigned   {"epoch":1,"version":2,"shards":[{"start":0,"end":1000000000,"edge":"a"}],"urls":{"a":"b"},\
"processes":{"a":"5f"}}
dead.letter      {"topic":"t","partition":3,"offset":7,"reason":"r","consumer":"c","keyBase64":"ZzE=",\
"valueBase64":null,"headers":[["x","y"]]}
"""
EARLIER = [line.split(maxsplit=1) for line in WRITTEN.strip().splitlines()]

earlier = pytest.mark.parametrize(("name", "value"), EARLIER)


def read(name: str, value: str) -> Record:
    (kind,) = (kind for kind in KINDS if kind.ce_type == f"pt.uni4all.chat.{name}.v1")
    return kind.read([("ce_type", kind.ce_type.encode()), ("ce_id", b"up201900001/m1")], value.encode())


def with_more(value: Any) -> Any:
    """Add a field that nobody knows to each object, but not to those that map edges."""
    if isinstance(value, list):
        return [with_more(one) for one in value]
    if isinstance(value, dict) and "a" not in value:
        return {**{field: with_more(one) for field, one in value.items()}, "later": {"more": [1]}}
    return value


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_field_of_every_kind_is_in_a_line_from_its_first_version_on(kind: type[Record]) -> None:
    lines = [json.loads(value) for name, value in EARLIER if kind.ce_type == f"pt.uni4all.chat.{name}.v1"]
    wire_names = {field.alias or name for name, field in kind.model_fields.items()}
    assert {name for line in lines for name in line} == wire_names, "add a line"


@earlier
def test_every_field_of_an_earlier_record_is_read(name: str, value: str) -> None:
    said = read(name, value).model_dump_json(by_alias=True, exclude_unset=True)
    assert json.loads(said) == json.loads(value)


@earlier
def test_every_field_that_earlier_readers_know_is_written(name: str, value: str) -> None:
    known, written = json.loads(value), json.loads(read(name, value).value())
    assert {field: written.get(field) for field in known} == known


@earlier
def test_fields_that_nobody_knows_yet_are_left_out(name: str, value: str) -> None:
    assert read(name, json.dumps(with_more(json.loads(value)))) == read(name, value)


def test_edges_write_messages_as_ever() -> None:
    said = message_value(id="m1", group="g1", up="up201900001", message="olá", sent_at=1_700_000_000_000)
    assert said == EARLIER[0][1].encode()

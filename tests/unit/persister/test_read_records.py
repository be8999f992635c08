"""Reading: every record becomes something to store, or poison with its reason."""

import json

import pytest
from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from persister.read_records import TOPICS, Fold, NewMessage, Poison, read
from schemas import documents, topics
from schemas.log_records import MAX_TEXT_BYTES, Encoded
from tests.records import consumed
from tests.unit.persister import records as make
from tests.unit.schemas.record_kinds import KINDS


def reason(topic: str, record: Encoded) -> str:
    taken = read(consumed(topic, record))
    assert isinstance(taken, Poison)
    return taken.reason


def fold(topic: str, record: Encoded, offset: int = 7) -> Fold:
    taken = read(consumed(topic, record, offset=offset))
    assert isinstance(taken, Fold)
    return taken


def test_a_message_stands_under_its_offset_and_the_brokers_time() -> None:
    taken = read(consumed(topics.MESSAGES, make.message(text="olá"), offset=42, timestamp=123))
    assert isinstance(taken, NewMessage)
    assert taken.document == {
        "_id": documents.message_key("g1", "up201900001", "m1"),
        "id": "m1",
        "group": "g1",
        "seq": 42,
        "up": "up201900001",
        "message": "olá",
        "timestamp": 123,
        "sentAt": 5,
    }


def test_a_membership_and_its_tombstone_speak_of_the_same_document() -> None:
    joined, left = fold(topics.MEMBERSHIPS, make.joined()), fold(topics.MEMBERSHIPS, make.left())
    assert (joined.collection, joined.key, joined.guard) == (left.collection, left.key, left.guard)
    assert joined.values == {"group": "g1", "up": "up201900001"}
    assert left.values is None


def test_names_and_presence_are_one_document_with_two_guards() -> None:
    names, online = fold(topics.USERS, make.profile("Ana")), fold(topics.USERS, make.presence(online=True))
    assert (names.collection, names.key) == (online.collection, online.key) == ("users", "up201900001")
    assert names.guard != online.guard
    assert names.values == {"username": "ana", "name": "Ana"}
    said_by = {"onlineEdge": None, "onlineProcess": None, "onlineProcessSeq": online.source.offset}
    assert online.values == {"online": True, **said_by}


def test_a_text_is_measured_in_bytes_and_the_largest_is_taken() -> None:
    largest = "é" * (MAX_TEXT_BYTES // 2)
    assert isinstance(read(consumed(topics.MESSAGES, make.message(text=largest))), NewMessage)
    assert "larger than" in reason(topics.MESSAGES, make.message(text=largest + "x"))


@pytest.mark.parametrize("topic", [topics.MESSAGES, topics.GROUPS, topics.USERS])
def test_a_tombstone_is_poison_where_nothing_can_be_taken_back(topic: str) -> None:
    record = {topics.MESSAGES: make.message(), topics.GROUPS: make.group(), topics.USERS: make.profile()}[
        topic
    ]
    assert reason(topic, record._replace(value=None)) == "no value"


@pytest.mark.parametrize(
    ("topic", "record"),
    [
        (topics.MESSAGES, make.message()),
        (topics.GROUPS, make.group()),
        (topics.MEMBERSHIPS, make.joined()),
        (topics.USERS, make.profile()),
        (topics.USERS, make.presence(online=True)),
    ],
)
class TestEveryKindOfRecord:
    def test_is_taken(self, topic: str, record: Encoded) -> None:
        assert not isinstance(read(consumed(topic, record)), Poison)

    def test_is_poison_under_another_key(self, topic: str, record: Encoded) -> None:
        somebody_elses = (b"g9", b"g1/up201900009", b"up201900009", b"up201900009/online")
        for key in (None, b"", b"\xff", *somebody_elses, record.key + b"x", record.key.upper()):
            reason(topic, Encoded(key, record.value, record.headers))  # type: ignore[arg-type]

    def test_is_poison_without_headers_or_of_another_type(self, topic: str, record: Encoded) -> None:
        assert reason(topic, record._replace(headers=[])) == "no ce_type header"
        assert "type is" in reason(topic, record._replace(headers=[("ce_type", b"other")]))

    def test_is_poison_when_a_field_is_missing(self, topic: str, record: Encoded) -> None:
        fields = json.loads(record.value or b"")
        (kind,) = (kind for kind in KINDS if ("ce_type", kind.ce_type.encode()) in record.headers)
        for name, field in kind.model_fields.items():
            if field.is_required():
                rest = {key: value for key, value in fields.items() if key != (field.alias or name)}
                reason(topic, record._replace(value=json.dumps(rest).encode()))


@pytest.mark.parametrize(
    "key", [None, b"", b"g1", b"g1/", b"/up201900001", b"g 1/up201900001", b"g1/up1", b"g1/up201900001/x"]
)
def test_a_membership_tombstone_is_poison_when_its_key_names_no_membership(key: bytes | None) -> None:
    reason(topics.MEMBERSHIPS, Encoded(key, None, []))  # type: ignore[arg-type]


@pytest.mark.parametrize("sent_at", [-1, 2**53 + 1, 2**70, 1.5, "x", None])
def test_a_clock_that_the_store_cannot_hold_is_poison(sent_at: object) -> None:
    record = make.message()
    fields = {**json.loads(record.value or b""), "sentAt": sent_at}
    reason(topics.MESSAGES, record._replace(value=json.dumps(fields).encode()))


def test_text_that_is_no_unicode_is_poison() -> None:
    record = make.message(text="X")
    assert record.value is not None
    reason(topics.MESSAGES, record._replace(value=record.value.replace(b'"X"', b'"\\ud800"')))
    reason(topics.MESSAGES, record._replace(value=record.value.replace(b'"X"', b'"\xff"')))


@given(
    topic=st.sampled_from(TOPICS),
    key=st.none() | st.binary(max_size=30),
    value=st.none() | st.binary(max_size=60),
    headers=st.lists(st.tuples(st.text(max_size=9), st.none() | st.binary(max_size=9)), max_size=3),
)
def test_no_bytes_stop_the_reader(
    topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    record = ConsumerRecord(topic, 0, 0, 0, 1, key, value, None, -1, -1, tuple(headers))
    assert read(record).source is record

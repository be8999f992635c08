"""Every reader of `chat.messages` takes the same records for messages, and shows all their fields alike."""

from collections.abc import Callable
from typing import Any

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from api_gateway.history import messages_of
from edge_server.delivery import _entry_of
from edge_server.frames import text_of
from persister.read_records import NewMessage, read
from schemas import topics
from schemas.client_events import CHAT_MESSAGE, ChatMessage
from schemas.log_records import MAX_TEXT_BYTES, Encoded, Headers, MessageSent, encode
from tests.records import consumed

Damage = Callable[[Encoded], Encoded]


def good(text: str) -> Encoded:
    sent = MessageSent(id="m", group="g", up="up000000001", message=text, sent_at=7)
    return encode(sent, key="g", source="test")


def with_headers(change: Callable[[Headers], Headers]) -> Damage:
    return lambda record: record._replace(headers=change(list(record.headers)))


header = st.tuples(
    st.sampled_from(["ce_type", "ce_id", "x"]),
    st.sampled_from([None, b"", b"other", b"up000000001/m", MessageSent.ce_type.encode()]),
)
damages = st.one_of(
    header.map(lambda one: with_headers(lambda known: [one, *known])),
    header.map(lambda one: with_headers(lambda known: [*known, one])),
    st.sampled_from(["ce_type", "ce_id"]).map(
        lambda name: with_headers(lambda known: [one for one in known if one[0] != name])
    ),
    st.sampled_from([b"g", b"other", b"", b"\xff", None]).map(
        lambda key: lambda record: record._replace(key=key)
    ),
    st.sampled_from([None, b"", b"{", b"[]", b"{}", b'{"id": 1}']).map(
        lambda value: lambda record: record._replace(value=value)
    ),
    st.integers(0, 100).map(lambda cut: lambda record: record._replace(value=(record.value or b"")[:cut])),
)
texts = st.sampled_from(["", "hi", "é", "x" * MAX_TEXT_BYTES, "é" * (MAX_TEXT_BYTES // 2 + 1)])


def named_in_two_other_parts(record: Encoded) -> Encoded:
    headers = [("ce_id", b"m") if name == "ce_id" else (name, said) for name, said in record.headers]
    return record._replace(key=b"g/up000000001", headers=headers)


@given(texts, st.lists(damages, max_size=3))
@example("hi", [named_in_two_other_parts])
def test_edges_and_persister_take_the_same_records_for_messages(text: str, damage: list[Damage]) -> None:
    written = good(text)
    for one in damage:
        written = one(written)
    record = consumed(topics.MESSAGES, written, offset=5)
    assert (_entry_of(record).frame is not None) == isinstance(read(record), NewMessage)


def test_members_and_readers_of_history_see_the_same_message_with_all_its_fields() -> None:
    sent = MessageSent(id="m", group="g", up="up000000001", message="olá", sent_at=7)
    assert sent.model_fields_set == MessageSent.model_fields.keys(), "give it the new field, too"
    record = consumed(topics.MESSAGES, encode(sent, key="g", source="test"), offset=5)
    frame, taken = _entry_of(record).frame, read(record)
    assert frame is not None
    assert isinstance(taken, NewMessage)
    name, live = orjson.loads(text_of(frame)[2:])
    (stored,) = messages_of([dict[str, Any](taken.document)])
    shown = ChatMessage.model_validate(stored)
    assert (name, live) == (CHAT_MESSAGE, stored)
    assert stored == shown.model_dump(by_alias=True)
    assert shown.model_fields_set == ChatMessage.model_fields.keys()

"""Dead letters: the whole record with its reason, and never too large to be written."""

import asyncio
from base64 import b64decode
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError, OutOfOrderSequenceNumber
from hypothesis import given, settings
from hypothesis import strategies as st

from persister.dead_letters import MAX_VALUE_BYTES, DeadLetters, dead_letter
from persister.read_records import Poison
from runtime import kafka
from runtime.kafka import KeptProducer
from runtime.settings import KafkaSettings
from schemas import topics
from schemas.log_records import DeadLetter
from schemas.topics import MAX_RECORD_BYTES
from tests.waiting import in_background


def record(key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]) -> ConsumerRecord:
    return ConsumerRecord("chat.messages", 3, 17, 0, 1, key, value, None, -1, -1, tuple(headers))


headers = st.lists(st.tuples(st.text(max_size=9), st.none() | st.binary(max_size=9)), max_size=5)


@given(st.none() | st.binary(max_size=40), st.none() | st.binary(max_size=40), headers)
def test_a_dead_letter_holds_the_record_under_its_own_key(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    written = dead_letter(Poison(record(key, value, headers), "why"), "persister")
    letter = DeadLetter.read(written.headers, written.value)
    assert (letter.topic, letter.partition, letter.offset) == ("chat.messages", 3, 17)
    assert (letter.reason[:3], letter.consumer) == ("why", "persister")
    assert written.key == (key or b"")
    assert letter.key_base64 is None if key is None else b64decode(letter.key_base64 or "") == key
    assert letter.value_base64 is None if value is None else b64decode(letter.value_base64 or "") == value
    assert [name for name, _ in letter.headers] == [name for name, _ in headers]


@given(
    st.integers(MAX_VALUE_BYTES + 1, MAX_RECORD_BYTES),
    st.integers(0, 200_000),
    st.integers(0, 500),
    st.sampled_from([("h", b"\xff"), ("\x01", b"\x01"), ("€", "€".encode())]),
)
@settings(max_examples=30)
def test_a_record_of_any_size_fits_and_the_reason_tells_of_the_cut(
    value: int, key: int, count: int, header: tuple[str, bytes]
) -> None:
    name, content = header
    huge = record(b"k" * key, b"\x00" * value, [(name * 2_000, content * 2_000)] * count)
    written = dead_letter(Poison(huge, "why"), "persister")
    assert len(written.key) + len(written.value or b"") < MAX_RECORD_BYTES - 10_000
    letter = DeadLetter.read(written.headers, written.value)
    assert str(value) in letter.reason


def test_the_same_record_has_the_same_id_whenever_it_is_set_aside() -> None:
    poison = Poison(record(b"k", b"v", []), "why")
    first, second = dead_letter(poison, "persister"), dead_letter(poison, "persister")
    assert dict(first.headers)["ce_id"] == dict(second.headers)["ce_id"] == b"chat.messages/3/17"


class Producer:
    """As of aiokafka: once it has failed for good it refuses everything."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error
        self.keys: list[bytes] = []

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def send(self, _topic: str, **record: Any) -> "asyncio.Future[None]":
        if self._error is not None:
            raise self._error
        self.keys.append(record["key"])
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


async def test_where_the_producer_has_failed_for_good_it_is_named_and_the_next_try_waits_for_another(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    error = OutOfOrderSequenceNumber()
    dead, alive = Producer(error), Producer()
    made = iter([dead, alive])
    monkeypatch.setattr(kafka, "new_producer", lambda *_, **__: next(made))
    kept = KeptProducer(KafkaSettings())
    async with in_background(kept.run()):
        letters = DeadLetters(kept, consumer="persister", partitions=1)
        poison = [Poison(record(b"k", b"v", []), "why")]
        with pytest.raises(KafkaError, match="a dead letter cannot be written: OutOfOrderSequenceNumber"):
            await letters.write(poison)
        facts = {one.message: one.facts for one in caplog.records}  # type: ignore[attr-defined]
        whose = {"topic": "chat.messages", "partition": 3, "offset": 17}
        assert facts["a dead letter cannot be written"] == {**whose, "error": repr(error)}
        assert facts["a producer failed for good and is replaced"]["topic"] == topics.DEAD_LETTERS
        await letters.write(poison)
        assert (dead.keys, alive.keys) == ([], [b"k"])

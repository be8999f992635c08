"""A dead letter becomes the very record that was set aside, or says why it can't."""

import asyncio
from base64 import b64encode
from contextlib import nullcontext, suppress
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.structs import RecordMetadata
from hypothesis import example, given
from hypothesis import strategies as st

from persister import letters
from persister.dead_letters import MAX_HEADER_CHARS, MAX_HEADERS, MAX_VALUE_BYTES, dead_letter
from persister.letters import Letter, original, read_letters, resend
from persister.read_records import Poison
from runtime import kafka
from runtime.settings import KafkaSettings
from schemas import topics
from schemas.log_records import DeadLetter


def letter_of(
    key: bytes | None, value: bytes | None, *headers: tuple[str, bytes | None], topic: str = topics.MESSAGES
) -> DeadLetter:
    record = ConsumerRecord(topic, 3, 17, 0, 1, key, value, None, -1, -1, headers)
    written = dead_letter(Poison(record, "why"), "persister")
    return DeadLetter.read(written.headers, written.value)


@given(st.binary(max_size=40), st.none() | st.binary(max_size=40), st.text(max_size=20))
def test_a_letter_is_the_record_that_it_was(key: bytes, value: bytes | None, header: str) -> None:
    record = original(letter_of(key, value, ("ce_id", header.encode())))
    assert record == (key, value, [("ce_id", header.encode())])


@given(st.text(max_size=600), st.none() | st.binary(max_size=600), st.integers(1, MAX_HEADERS + 1))
@example("h", b"\xff", 1)
@example("h", None, 1)
@example("h", b"\xff" * MAX_HEADER_CHARS, 1)
@example("h", b"", 1)
def test_a_record_is_never_sent_again_with_other_headers(name: str, value: bytes | None, count: int) -> None:
    headers = [(name, value)] * count
    with suppress(ValueError):
        assert original(letter_of(b"k", b"v", *headers)).headers == headers


async def test_of_all_letters_only_those_that_are_asked_for_are_kept_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kafka, "new_consumer", lambda *_, **__: Consumer(12))
    found = await read_letters(KafkaSettings(), ["chat.messages/3/1"])
    assert [one.name for one in found] == [f"chat.messages/3/{offset}" for offset in range(12)]
    assert [one.letter.reason for one in found] == ["why"] * 12
    assert [one.letter.value_base64 for one in found] == [
        b64encode(b"value").decode() if offset == 1 else None for offset in range(12)
    ]
    assert original(found[1].letter) == (b"k\xff", b"value", [("ce_id", b"x")])


async def test_a_list_says_who_wrote_what_was_set_aside_whatever_else_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kafka, "new_consumer", lambda *_, **__: Consumer(2, ("ce_source", b"a\nscript")))
    letters._print_list(await read_letters(KafkaSettings(), ()))
    said = capsys.readouterr()
    assert said.out == (
        "chat.messages/3/0  key 'k\\\\xff'  from 'a\\nscript'  why\n"
        "chat.messages/3/1  key 'k\\\\xff'  from 'a\\nscript'  why\n"
        "2 dead letters\n"
    )
    assert said.err.startswith("chat.dead-letters/0/0 is no dead letter: ")


class Consumer:
    """Reads one partition of so many letters, the newest first, and each of them twice, behind no letter."""

    def __init__(self, count: int, *headers: tuple[str, bytes]) -> None:
        self._headers = (("ce_id", b"x"), *headers)
        self._records = [
            ConsumerRecord(topics.DEAD_LETTERS, 0, 0, n, 1, *self._letter(n)) for n in reversed(range(count))
        ] * 2
        no_letter = ConsumerRecord(topics.DEAD_LETTERS, 0, 0, 0, 1, None, b"{", None, -1, -1, ())
        self._records.insert(0, no_letter)
        self._read = False

    def _letter(self, offset: int) -> tuple[Any, ...]:
        set_aside = ConsumerRecord(
            topics.MESSAGES, 3, offset, 0, 1, b"k\xff", b"value", None, -1, -1, self._headers
        )
        written = dead_letter(Poison(set_aside, "why"), "persister")
        return written.key, written.value, None, -1, -1, written.headers

    async def start(self) -> None:
        """It is there."""

    async def stop(self) -> None:
        """As above."""

    def assignment(self) -> list[int]:
        return [0]

    async def end_offsets(self, _: Any) -> dict[int, int]:
        return {0: 1}

    async def position(self, _: int) -> int:
        return int(self._read)

    async def getmany(self, **_: int) -> dict[int, list[ConsumerRecord]]:
        self._read = True
        return {0: self._records}


@pytest.mark.parametrize(
    ("letter", "why"),
    [
        (letter_of(b"k", b"x" * (MAX_VALUE_BYTES + 1)), "only a part"),
        (letter_of(b"k", b"x", ("h", b"x" * (MAX_HEADER_CHARS + 1))), "only a part"),
        (letter_of(b"k", b"x", *[("h", b"x")] * (MAX_HEADERS + 1)), "only a part"),
        (letter_of(b"k", b"x", ("h", b"\xff")), "only a part"),
        (letter_of(b"k", b"x", ("h", None)), "only a part"),
        (letter_of(None, b"x"), "no key"),
        (letter_of(b"k", b"x", topic="edge.status"), "no service reads"),
    ],
)
def test_a_letter_that_cannot_be_sent_again_says_why(letter: DeadLetter, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        original(letter)


async def test_a_letter_that_a_sealed_topic_does_not_take_is_said_so_and_the_others_are_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kafka, "started_producer", lambda *_: nullcontext(Producer(takes_from=2)))
    some = [Letter(f"chat.messages/3/{n}", letter_of(b"k", b"value"), "") for n in range(3)]
    assert await resend(KafkaSettings(), some) == 2
    said = capsys.readouterr().out.splitlines()
    assert ["KAFKA_GENERATION" in line for line in said] == [True, True, False]
    assert said[2].startswith("chat.messages/3/2 was sent again as chat.messages/")


class Producer:
    """Refuses what is sent as a broker does whose topic takes no records, but for the last ones."""

    def __init__(self, takes_from: int) -> None:
        self._takes_from = takes_from
        self._sent = 0

    async def send(self, topic: str, *, partition: int, **_: Any) -> "asyncio.Future[RecordMetadata]":
        written = asyncio.get_running_loop().create_future()
        if self._sent < self._takes_from:
            written.set_exception(MessageSizeTooLargeError())
        else:
            written.set_result(RecordMetadata(topic, partition, TopicPartition(topic, partition), 7, 0, 1, 0))
        self._sent += 1
        return written

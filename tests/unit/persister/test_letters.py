"""A dead letter becomes the very record that was set aside, or says why it can't."""

import pytest
from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from persister.dead_letters import MAX_VALUE_BYTES, dead_letter
from persister.letters import original
from persister.read_records import Poison
from schemas import topics
from schemas.log_records import DeadLetter


def letter_of(
    key: bytes | None, value: bytes | None, *headers: tuple[str, bytes], topic: str = topics.MESSAGES
) -> DeadLetter:
    record = ConsumerRecord(topic, 3, 17, 0, 1, key, value, None, -1, -1, headers)
    written = dead_letter(Poison(record, "why"), "persister")
    return DeadLetter.read(written.headers, written.value)


@given(st.binary(max_size=40), st.none() | st.binary(max_size=40), st.text(max_size=20))
def test_a_letter_is_the_record_that_it_was(key: bytes, value: bytes | None, header: str) -> None:
    record = original(letter_of(key, value, ("ce_id", header.encode())))
    assert record == (key, value, [("ce_id", header.encode())])


@pytest.mark.parametrize(
    ("letter", "why"),
    [
        (letter_of(b"k", b"x" * (MAX_VALUE_BYTES + 1)), "only a part"),
        (letter_of(None, b"x"), "no key"),
        (letter_of(b"k", b"x", topic="edge.status"), "no service reads"),
    ],
)
def test_a_letter_that_cannot_be_sent_again_says_why(letter: DeadLetter, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        original(letter)

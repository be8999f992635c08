"""A message is parsed once; looking it up again gives the same one; what is no message is told apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_server.frames import event_frame, text_frame, text_of
from loadtest.seen_frames import MAX_BATCHES_KEPT, SeenFrames
from schemas.client_events import CHAT_MESSAGE, ChatMessage

texts = st.text(st.characters(codec="utf-8"))


def message(seq: int = 1, text: str = "olá") -> ChatMessage:
    return ChatMessage(id="m", seq=seq, room="leic", up="up201906045", message=text, timestamp=2, sent_at=1)


@given(texts)
def test_a_frame_gives_the_message_and_then_the_same_object(text: str) -> None:
    seen, wire = SeenFrames(), text_of(event_frame(CHAT_MESSAGE, message(text=text)))
    first = seen.parse(wire)
    assert first == message(text=text)
    assert seen.get(bytes(bytearray(wire))) is first


@pytest.mark.parametrize("wire", [b'42["joined",{}]', b'42["chat messages",{}]', b"2", b""])
def test_other_events_are_not_remembered(wire: bytes) -> None:
    seen = SeenFrames()
    assert seen.parse(wire) is None
    assert not seen


@pytest.mark.parametrize("wire", [b'42["chat message",{}]', b'42["chat message",{"id"'])
def test_a_message_that_is_none_is_an_error(wire: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        SeenFrames().parse(wire)


def test_no_more_frames_are_kept_than_was_said_and_the_oldest_go() -> None:
    seen = SeenFrames(max_kept=3)
    for seq in range(10):
        seen.parse(text_of(event_frame(CHAT_MESSAGE, message(seq))))
        assert len(seen) <= 3
    assert [kept.seq for kept in seen.values()] == [7, 8, 9]


def test_no_more_runs_are_kept_than_is_good() -> None:
    seen = SeenFrames()
    for seq in range(MAX_BATCHES_KEPT + 5):
        seen.remember_batch(text_frame(b"%d" % seq), [message(seq)])
    assert len(seen.batches) == MAX_BATCHES_KEPT
    assert text_frame(b"0") not in seen.batches

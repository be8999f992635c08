"""Frames come out whole however their bytes were cut, and what no server sends is refused."""

from itertools import pairwise
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_server.frames import text_frame
from loadtest.websocket import WHOLE_TEXT, Handshake, ProtocolError, client_frame, close_frame
from tests.frame_reader import FrameReader

payloads = st.one_of(
    st.binary(max_size=200),
    st.integers(0, 70_000).map(lambda size: b"x" * size),
    st.sampled_from([125, 126, 127, 65_535, 65_536]).map(lambda size: b"y" * size),
)


@given(st.lists(payloads, max_size=6), st.data())
def test_frames_come_out_whole_and_in_order_however_they_are_cut(
    sent: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(text_frame(payload) for payload in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    cuts = [*range(min(20, len(stream))), *cuts] if data.draw(st.booleans()) else cuts  # within a head, too
    reader = FrameReader()
    got: list[tuple[int, bytes]] = []
    for start, end in pairwise(sorted([0, *cuts, len(stream)])):
        got += reader.feed(stream[start:end])
    assert got == [(WHOLE_TEXT, payload) for payload in sent]


@given(payloads)
def test_a_masked_frame_is_refused(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        FrameReader().feed(client_frame(payload) + bytes(16))


def test_a_frame_that_claims_to_be_endless_is_refused() -> None:
    with pytest.raises(ProtocolError):
        FrameReader().feed(bytes([0x81, 127]) + b"\xff" * 8)


@given(payloads)
def test_our_frames_are_masked_by_zeros_and_hold_the_payload(payload: bytes) -> None:
    frame = client_frame(payload)
    assert frame[0] == WHOLE_TEXT
    assert frame[1] & 0x80
    assert frame.endswith(bytes(4) + payload)


def test_the_closing_frame_says_that_all_is_well() -> None:
    assert close_frame()[-2:] == (1000).to_bytes(2, "big")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1",
        b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: somebody-elses",
        b"HTTP/1.1 101 Switching Protocols",
        b"",
    ],
)
def test_an_answer_that_is_not_ours_opens_nothing(answer: bytes) -> None:
    with pytest.raises(ProtocolError):
        Handshake(urlsplit("http://edge.example:1"), "/").check(answer)

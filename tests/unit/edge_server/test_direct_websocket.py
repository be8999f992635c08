"""However frames are cut, all are taken once and in order, the short way or through engine.io."""

import asyncio
from typing import Any, cast

import pytest
from engineio import packet
from hypothesis import given
from hypothesis import strategies as st

from edge_server.clients import Client
from edge_server.direct_websocket import FRAMES_BEFORE_LOGIN, READ_AHEAD_CHARS, DirectWebSocket, ShortPath
from edge_server.frames import close_frame
from edge_server.settings import EdgeSettings
from edge_server.unfinished import HEADS_FACTOR, Unfinished
from runtime import metrics
from tests.counting import counting
from tests.unit.edge_server.client_frames import frame, frames_of
from tests.unit.edge_server.transports import Closed, EngineSocket, Transport, client
from tests.waiting import eventually

SETTINGS = EdgeSettings(max_frame_bytes=10**6)

said = st.lists(
    st.tuples(st.booleans(), st.text(max_size=200), st.integers(0, 3), st.booleans()),
    max_size=12,
)


class Carried(EngineSocket):
    """An engine.io socket that takes its time."""

    def __init__(self, taken: list[str], passes: list[int]) -> None:
        super().__init__()
        self.closed = False
        self._taken = taken
        self._passes = passes

    async def receive(self, received: packet.Packet) -> None:
        for _ in range(self._passes[len(self._taken) % len(self._passes)]):
            await asyncio.sleep(0)
        self._taken.append(received.data)


def websocket_of(transport: Transport, carried: Any, take: ShortPath) -> DirectWebSocket:
    websocket = DirectWebSocket(cast(Any, transport), take, SETTINGS, Unfinished(SETTINGS))
    websocket.set_handler(carried, lambda: None)
    return websocket


@given(
    said,
    st.lists(st.integers(1, 40), min_size=1, max_size=20),
    st.lists(st.integers(0, 3), min_size=1, max_size=5),
)
async def test_however_frames_are_cut_all_are_taken_once_and_in_order(
    said: list[tuple[bool, str, int, bool]], cuts: list[int], passes: list[int]
) -> None:
    taken: list[str] = []
    socket = Carried(taken, passes)

    def take(_client: Client, text: str) -> bool:
        if text.startswith("4short"):
            taken.append(text[1:])
            return True
        return False

    websocket = websocket_of(Closed(), socket, take)
    websocket.use_short_path(client(socket))
    texts = [("short " if short else "other ") + text for short, text, _, _ in said]
    wire = b"".join(
        frames_of(f"4{text}", parts, ping) for text, (_, _, parts, ping) in zip(texts, said, strict=True)
    )
    n = 0
    while wire:
        size = cuts[n % len(cuts)]
        websocket.data_received(wire[:size])
        wire = wire[size:]
        if n % 3 == 0:
            await asyncio.sleep(0)
        n += 1
    await eventually("all is worked off", lambda: not websocket.is_processing)
    assert taken == texts


class Tasked(Carried):
    """An engine.io socket whose events begin in tasks of their own, as python-socketio's do."""

    async def receive(self, received: packet.Packet) -> None:
        asyncio.get_running_loop().call_soon(self._taken.append, received.data)


async def test_no_message_overtakes_an_event_that_has_yet_to_begin() -> None:
    taken: list[str] = []

    def take(_client: Client, text: str) -> bool:
        taken.append(text[1:])
        return True

    socket = Tasked(taken, [0])
    websocket = websocket_of(Closed(), socket, take)
    websocket.data_received(frames_of("4first", 0, ping=False))
    websocket.use_short_path(client(socket))
    while websocket.is_processing:  # noqa: ASYNC110 - not a pass later
        await asyncio.sleep(0)
    websocket.data_received(frames_of("4second", 0, ping=False))
    assert taken == ["first", "second"]


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (frame(1, b"short\xff"), 1007),
        (frame(1, b"short", first_bits=0x40), 1002),
        (frame(3, b"short"), 1002),
        (frame(0, b"short"), 1002),
        (b"\x81\xff" + (SETTINGS.max_frame_bytes + 1).to_bytes(8, "big") + bytes(4), 1009),
        (frame(8, b"\x00\x01"), 1002),
        (frame(9, b"short", fin=False), 1002),
    ],
)
async def test_a_frame_that_breaks_the_protocol_is_never_taken_and_closes_with_its_code(
    wire: bytes, code: int
) -> None:
    """It closes without waiting for an answer."""
    transport, taken = Closed(), list[str]()
    socket = Carried(taken, [0])

    def take(_client: Client, text: str) -> bool:
        taken.append(text)
        return True

    websocket = websocket_of(transport, socket, take)
    websocket.use_short_path(client(socket))
    hits = counting(metrics.LIMIT_HITS.labels(limit="long frames"))
    websocket.data_received(wire)
    assert hits() == (code == 1009)
    assert transport.wire == [close_frame(code), b"CLOSED"]
    assert not taken
    websocket.connection_lost(None)


EMPTY_PART = b"\x00\x80\x00\x00\x00\x00"
TOO_BIG = [close_frame(1009), b"CLOSED"]


@pytest.mark.parametrize("known", [False, True])
async def test_a_stranger_may_send_no_more_of_a_message_than_an_event_has(known: bool) -> None:
    transport, socket = Closed(), Carried([], [0])
    websocket = websocket_of(transport, socket, lambda *_: False)
    if known:
        websocket.use_short_path(client(socket))
    message = frames_of("4" + "x" * (SETTINGS.max_event_bytes + 100), 3, ping=False)
    websocket.data_received(message[:-1])
    assert transport.wire == ([] if known else TOO_BIG)
    websocket.connection_lost(None)


async def test_a_message_in_parts_that_never_end_is_given_up_on() -> None:
    transport, socket = Closed(), Carried([], [0])
    websocket = websocket_of(transport, socket, lambda *_: False)
    websocket.use_short_path(client(socket))
    websocket.data_received(b"\x01\x80\x00\x00\x00\x00")
    for _ in range(HEADS_FACTOR * SETTINGS.max_frame_bytes // (1000 * len(EMPTY_PART)) + 1):
        assert transport.wire == []
        websocket.data_received(EMPTY_PART * 1000)
    assert transport.wire == TOO_BIG
    websocket.connection_lost(None)


async def test_no_more_is_read_than_can_be_worked_off_and_nothing_from_who_was_told_to_wait() -> None:
    transport, taken = Closed(), list[str]()
    socket = Carried(taken, [1])
    websocket = websocket_of(transport, socket, lambda *_: False)
    here = client(socket)
    here.reading = websocket.reading
    websocket.use_short_path(here)
    much = frames_of("4" + "x" * (READ_AHEAD_CHARS // 2), 0, ping=False)
    for told_to_wait in (False, True):
        if told_to_wait:
            here.pause_reading(3600.0, {"error": {}})
        websocket.data_received(much + much)
        assert transport.paused
        await eventually("all is worked off", lambda: not websocket.is_processing)
        assert transport.paused is told_to_wait
    assert len(taken) == 4


@pytest.mark.parametrize("logged_in", [False, True])
async def test_before_login_a_client_may_send_few_frames(logged_in: bool) -> None:
    """Two thousand without a token kept an edge busy by pings, as each had a student's budget."""
    websocket = websocket_of(transport := Transport(), EngineSocket(), lambda _client, _text: False)
    if logged_in:
        websocket.logged_in()
    websocket.data_received(3 * FRAMES_BEFORE_LOGIN * frame(9, b""))
    assert (b"ABORTED" in transport.wire) is not logged_in
    websocket.connection_lost(None)

"""Who comes over from polling to a websocket gets everything once and in order, whenever that is."""

import asyncio
from contextlib import suppress
from typing import Any, cast

import pytest
from engineio import packet
from hypothesis import given
from hypothesis import strategies as st

from edge_server.clients import Client
from edge_server.coming_over import ComingOver
from edge_server.direct_websocket import DirectWebSocket
from edge_server.frames import close_frame, event_frame, text_frame
from edge_server.packet_queue import MOST_A_POLL_OF_PYTHONS, PacketQueue
from edge_server.settings import EdgeSettings
from edge_server.unfinished import Unfinished
from runtime import metrics
from tests.counting import counting
from tests.simulation.simulated_loop import SimulatedLoop
from tests.unit.edge_server.client_frames import frames_of
from tests.unit.edge_server.entries import entry
from tests.unit.edge_server.transports import Closed, client, seqs_on
from tests.unit.left_over import left_over
from tests.waiting import eventually

SETTINGS = EdgeSettings()
MUCH = 10_000


class Polling:
    """An engine.io socket that polls, its client, and how they come over."""

    def __init__(self, settings: EdgeSettings = SETTINGS, *, welcomed: bool = True) -> None:
        self.queue: Any = PacketQueue()
        self.websocket: DirectWebSocket | None = None
        self.upgraded = self.closed = False
        self.client: Client = client(cast(Any, self), max_bytes=MUCH)
        self.received: list[Any] = []
        self.short: list[str] = []
        self.transport: Any = Closed()
        self.ends = 0
        self._settings = settings
        self._welcomed = welcomed

    async def receive(self, received: packet.Packet) -> None:
        """Take an ordinary packet."""
        self.received.append(received.data)

    def poll(self, seen: list[bytes]) -> None:
        """Take what one poll of Python's client brings."""
        self.queue._polled, self.queue.most_a_poll = 0, MOST_A_POLL_OF_PYTHONS
        with suppress(asyncio.QueueEmpty):
            while True:
                seen.append(self.queue.get_nowait().encode().encode())

    def ends_polls(self) -> bool:
        return bool(self.queue.ends_polls)

    def begin(self) -> DirectWebSocket:
        """Accept a websocket."""
        self.transport = Closed()
        websocket = DirectWebSocket(
            cast(Any, self.transport), self._take, self._settings, Unfinished(self._settings)
        )
        coming = ComingOver(self, websocket, self._settings, self._switched_over, self._ended)
        websocket.set_handler(coming, coming.ended)
        return websocket

    def _take(self, _client: Client, text: str) -> bool:
        if text.startswith("4short"):
            self.short.append(text)
            return True
        return False

    def _switched_over(self, _socket: object) -> None:
        if self._welcomed and not self.client.gone:
            self.client.go_direct()

    def _ended(self, _socket: object) -> None:
        self.ends += 1


async def say(websocket: DirectWebSocket, text: str) -> None:
    websocket.data_received(frames_of(text, 0, ping=False))
    while websocket.is_processing:  # noqa: ASYNC110 - not a pass later
        await asyncio.sleep(0)


@pytest.mark.parametrize("welcomed", [False, True])
@given(st.lists(st.sampled_from(["message", "many", "poll", "next", "lost", "pass"]), max_size=60))
async def test_nothing_is_lost_and_nothing_overtakes_whenever_they_come_over(
    welcomed: bool, steps: list[str]
) -> None:
    here, seen, sent = Polling(welcomed=welcomed), list[bytes](), 0
    websocket, said = here.begin(), ["2probe", "5"]
    for step in steps:
        if step in {"message", "many"}:
            for _ in range(1 if step == "message" else MOST_A_POLL_OF_PYTHONS + 1):
                here.client.send(entry(sent).frame or b"")
                sent += 1
        elif step == "poll" and not here.upgraded:
            here.poll(seen)
        elif step == "next" and said:
            await say(websocket, said.pop(0))
        elif step == "lost" and not here.upgraded:
            websocket.connection_lost(None)
            assert not here.ends_polls()
            websocket, said = here.begin(), ["2probe", "5"]
        else:
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    if here.upgraded:
        assert here.client.transport is (here.transport if welcomed else None)
        seen.extend(here.transport.wire)
    while not here.upgraded and not here.queue.empty():
        here.poll(seen)
    assert [seq for data in seen for seq in seqs_on(data)] == list(range(sent))
    websocket.connection_lost(None)
    assert here.ends == here.upgraded


async def test_a_client_is_told_that_it_is_heard_its_poll_ends_and_then_it_is_direct() -> None:
    here = Polling()
    websocket = here.begin()
    await say(websocket, "2probe")
    seen: list[bytes] = []
    here.poll(seen)
    assert (here.transport.wire, seen) == ([text_frame(b"3probe")], [b"6"])
    polled = here.queue
    await say(websocket, "5")
    assert await polled.get() is None
    assert (here.client.counted_as, here.client.reading) == ("websocket", websocket.reading)
    await say(websocket, "4short")
    await say(websocket, "4other")
    assert (here.short, here.received) == (["4short"], ["other"])
    websocket.connection_lost(None)


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize(
    "said",
    [
        ["5"],
        ["2"],
        ["4probe"],
        ["2probe", "2probe"],
        ["4text"],
        ["2probe", "4text", "5"],
        ["x", "2probe", "5"],
    ],
)
async def test_whatever_else_comes_first_ends_the_websocket_alone(said: list[str], at_once: bool) -> None:
    here = Polling()
    websocket = here.begin()
    if at_once:
        websocket.data_received(b"".join(frames_of(text, 0, ping=False) for text in said[:-1]))
    for text in said[-1:] if at_once else said:
        await say(websocket, text)
    assert here.transport.wire[-1] == close_frame(1000)
    assert (here.upgraded, here.received) == (False, [])
    websocket.connection_lost(None)
    assert (here.ends_polls(), here.websocket, here.ends) == (False, None, 0)


async def test_who_does_not_come_in_time_is_cut_off_and_goes_on_by_polling() -> None:
    late = counting(metrics.LIMIT_HITS.labels(limit="slow handshakes"))
    here = Polling(EdgeSettings(handshake_within_s=0.01))
    websocket = here.begin()
    await eventually("it is cut off", lambda: here.transport.wire == [b"ABORTED"])
    websocket.connection_lost(None)
    assert (late(), here.ends_polls(), here.ends) == (1, False, 0)


@pytest.mark.parametrize("over", [False, True])
def test_nobody_is_cut_off_later_who_came_in_time_or_gave_up(over: bool) -> None:
    async def come() -> Any:
        here = Polling()
        websocket = here.begin()
        await say(websocket, "2probe")
        if over:
            await say(websocket, "5")
        else:
            websocket.connection_lost(None)
        await asyncio.sleep(10 * SETTINGS.handshake_within_s)
        return here.transport.wire

    loop = SimulatedLoop()
    assert b"ABORTED" not in loop.run_until_complete(come())
    loop.close()


async def test_a_goodbye_that_still_waits_is_written_and_then_the_end() -> None:
    here = Polling()
    websocket = here.begin()
    here.client.send(event_frame("refused", {}))
    here.client.gone = True
    here.client.end()
    await say(websocket, "2probe")
    await say(websocket, "5")
    assert [b"refused" in data for data in here.transport.wire] == [False, True, False]
    assert here.transport.wire[-1] == close_frame(1000)
    websocket.connection_lost(None)


async def test_polls_end_from_when_the_client_is_told_that_its_websocket_is_heard() -> None:
    here = Polling()
    websocket = here.begin()
    assert not here.ends_polls()
    await say(websocket, "2probe")
    assert here.ends_polls()
    websocket.connection_lost(None)
    assert not here.ends_polls()


@pytest.mark.parametrize("last", ["2probe", "5"])
async def test_who_is_gone_before_it_was_heard_to_come_goes_on_polling(last: str) -> None:
    here = Polling()
    websocket = here.begin()
    if last == "5":
        await say(websocket, "2probe")
    websocket.data_received(frames_of(last, 0, ping=False))
    websocket.connection_lost(None)
    while websocket.is_processing:  # noqa: ASYNC110 - not a pass later
        await asyncio.sleep(0)
    assert (here.upgraded, here.ends_polls(), here.ends) == (False, False, 0)


@pytest.mark.parametrize("over", [False, True])
async def test_nothing_of_a_websocket_that_is_gone_waits_for_the_collector(over: bool) -> None:
    with left_over(DirectWebSocket, ComingOver) as gone:
        here = Polling()
        websocket = here.begin()
        await say(websocket, "2probe")
        if over:
            await say(websocket, "5")
        websocket.connection_lost(None)
        here.websocket = here.client.reading = None
        here.queue.detach() if over else None
        del websocket
        await asyncio.sleep(0)
        assert not gone()


async def test_a_session_that_is_over_does_not_come_over() -> None:
    here = Polling()
    websocket = here.begin()
    await say(websocket, "2probe")
    here.closed = True
    await say(websocket, "5")
    assert (here.upgraded, here.transport.wire[-1]) == (False, close_frame(1000))
    websocket.connection_lost(None)


async def test_who_may_leave_much_unread_may_do_so_when_it_comes_over() -> None:
    here = Polling(EdgeSettings(max_buffered_bytes=262_144))
    here.client.raise_unread_limit(10 * 262_144)
    websocket = here.begin()
    await say(websocket, "2probe")
    here.client.send(text_frame(b"x" * 2 * 262_144))
    here.transport.unread = 3 * 262_144
    await say(websocket, "5")
    assert not here.transport.is_closing()
    assert not here.client.slow
    websocket.connection_lost(None)

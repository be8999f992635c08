"""What is held of messages that have not ended: by one websocket, and by all together."""

import pytest
from aiohttp import ClientWebSocketResponse
from hypothesis import given
from hypothesis import strategies as st

from edge_server.settings import EdgeSettings
from edge_server.unfinished import BoundedReader, Unfinished
from runtime import metrics
from tests.counting import counting
from tests.unit.edge_server.gated_edge import Edge, an_edge, is_closed, wire_of
from tests.waiting import eventually

EVENT = 98_304
FRAME = 196_608
TOGETHER = 450_000
SETTINGS = EdgeSettings(max_event_bytes=EVENT, max_frame_bytes=FRAME, max_unfinished_bytes=TOGETHER)
OF_ONE = metrics.LIMIT_HITS.labels(limit="unfinished messages")
OF_EDGE = metrics.LIMIT_HITS.labels(limit="unfinished messages of an edge")


class Parts:
    """A reader for which a message ends where a piece of bytes ends in a dot."""

    def __init__(self, name: int, given_up: set[int], together: Unfinished) -> None:
        self.bounded = BoundedReader(self, SETTINGS, together, lambda: given_up.add(name))

    def feed_data(self, data: bytes) -> None:
        if data.endswith(b"."):
            self.bounded.message_ended()


steps = st.lists(
    st.tuples(
        st.integers(0, 5), st.sampled_from(["part", "end", "lost", "known"]), st.integers(1, 2 * EVENT)
    ),
    max_size=60,
)


@given(steps)
def test_what_is_held_together_is_what_each_holds_and_only_the_long_ones_are_given_up_for_it(
    steps: list[tuple[int, str, int]],
) -> None:
    together = Unfinished(SETTINGS)
    given_up: set[int] = set()
    readers: dict[int, Parts] = {}
    held: dict[int, int] = {}
    hits, refusals = counting(OF_ONE, OF_EDGE), 0
    for name, what, size in steps:
        one = readers.setdefault(name, Parts(name, given_up, together))
        if what == "known":
            one.bounded.allow_whole_frames()
        elif what == "lost":
            one.bounded.message_ended()
            del readers[name]
            held.pop(name, None)
        else:
            one.bounded.feed_data(b"x" * (size - 1) + (b"." if what == "end" else b"x"))
            held[name] = 0 if what == "end" else held.get(name, 0) + size
        assert together.bytes == sum(held.values())
        refusals += len(given_up)
        for refused in given_up:
            assert held[refused] > EVENT
            readers.pop(refused).bounded.message_ended()
            del held[refused]
        given_up.clear()
        assert sum(size for size in held.values() if size > EVENT) <= TOGETHER
    for left in readers.values():
        left.bounded.message_ended()
    assert together.bytes == 0
    assert hits() == refusals


def part(size: int) -> bytes:
    """Return the beginning of a masked text of that many bytes, all but the last one."""
    return b"\x81\xff" + size.to_bytes(8, "big") + b"\0\0\0\0" + b"4" + b"x" * (size - 2)


def held(edge: Edge) -> int:
    return edge.server._websockets.unfinished.bytes


async def held_by(edge: Edge, *, upgraded: bool, size: int, is_read: bool = True) -> ClientWebSocketResponse:
    """Return a websocket whose message of that size never ends."""
    socket = await (await edge.poller()).upgraded() if upgraded else await edge.websocket()
    if not upgraded:
        for one in edge.server.eio.sockets.values():
            one.websocket.reader.allow_whole_frames()
    before = held(edge)
    wire_of(socket).write(part(size))
    if is_read:
        await eventually("it is read", lambda: held(edge) >= before + size)
    return socket


@pytest.mark.parametrize("upgraded", [False, True], ids=["direct", "upgraded"])
async def test_past_what_an_edge_holds_long_messages_are_closed_and_short_ones_go_on(upgraded: bool) -> None:
    async with an_edge(max_event_bytes=EVENT, max_unfinished_bytes=TOGETHER) as edge:
        hits = counting(OF_EDGE)
        early = [await held_by(edge, upgraded=upgraded, size=210_000) for _ in range(2)]
        short = await held_by(edge, upgraded=upgraded, size=60_000)
        assert hits() == 0
        late = await held_by(edge, upgraded=upgraded, size=210_000, is_read=False)
        await is_closed(late)
        assert late.close_code == 1009
        assert hits() == 1
        await eventually("it is forgotten", lambda: held(edge) <= TOGETHER + 60_000)
        wire_of(short).write(b"x")
        assert "refused" in await short.receive_str()
        for one in early:
            wire_of(one).abort()
        await eventually("nothing is held", lambda: held(edge) == 0)
        await short.close()

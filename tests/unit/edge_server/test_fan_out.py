"""Laws of sending: whatever a client's transport does, it gets its events once and in order."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_server.clients import Client
from edge_server.fan_out import MAX_REST_S, REST_FACTOR, FanOut, rest_after
from edge_server.frames import text_frame, text_of
from edge_server.rooms import Rooms
from runtime import metrics
from tests.counting import counting
from tests.simulation.simulated_loop import SimulatedLoop
from tests.unit.edge_server.entries import entry
from tests.unit.edge_server.transports import EngineSocket, client, seqs_on


async def test_a_client_that_is_gone_is_sent_nothing_and_never_counted_again() -> None:
    socket = EngineSocket()
    socket.use_websocket()
    here = client(socket)
    here.send(text_frame(b"42[]"))
    here.go_direct()
    here.gone = True
    here.count_as(None)
    here.send(text_frame(b"42[]"))
    assert (socket.transport.wire, here.counted_as) == ([text_frame(b"42[]")], None)


@pytest.mark.parametrize("takes", [False, True])
@pytest.mark.parametrize(("max_bytes", "max_packets"), [(200, 1000), (10_000, 15)])
def test_who_leaves_too_much_waiting_is_slow_while_it_polls_and_who_takes_it_is_not(
    max_bytes: int, max_packets: int, takes: bool
) -> None:
    socket = EngineSocket()
    here = client(socket, max_bytes=max_bytes, max_packets=max_packets)
    for n in range(40):
        assert n > 10 or not here.slow
        here.send(text_frame(b'42["any",7]'))
        if takes:
            socket.polled()
    assert here.slow is not takes


async def test_what_waits_for_clients_that_poll_is_there_once_and_a_text_when_it_is_taken() -> None:
    rooms, made = Rooms(), entry(0, message="olá 😀")
    fan_out, sockets = FanOut(rooms), [EngineSocket() for _ in range(3)]
    for socket in sockets:
        rooms.join(client(socket, max_bytes=1000), "g")
    fan_out.put(made)
    fan_out.flush()
    for socket in sockets:
        packet = socket.queue.get_nowait()
        assert packet.frame is made.frame
        assert packet.data is None
        assert packet.encode(b64=True).encode() == text_of(made.frame or b"")


async def test_messages_of_one_pass_leave_in_one_write_a_member() -> None:
    rooms = Rooms()
    fan_out = FanOut(rooms)
    sockets = [EngineSocket() for _ in range(3)]
    for socket in sockets:
        socket.use_websocket()
        here = client(socket)
        here.go_direct()
        rooms.join(here, "g")
    for seq in range(5):
        fan_out.put(entry(seq))
    await asyncio.sleep(0)
    for socket in sockets:
        assert [seqs_on(data) for data in socket.transport.wire] == [[0, 1, 2, 3, 4]]


async def test_a_joiner_does_not_get_what_was_already_in_the_outbox() -> None:
    rooms = Rooms()
    fan_out = FanOut(rooms)
    socket = EngineSocket()
    fan_out.put(entry(0))
    fan_out.flush()
    rooms.join(client(socket), "g")
    fan_out.put(entry(1))
    await asyncio.sleep(0)
    assert seqs_on(socket.polled()) == [1]


@pytest.mark.parametrize("cursor", [0, 2, 4])
async def test_a_joiner_that_is_ahead_gets_only_what_is_newer_and_then_everything(cursor: int) -> None:
    rooms = Rooms()
    fan_out = FanOut(rooms)
    socket = EngineSocket()
    here = client(socket, max_bytes=10_000)
    rooms.join(here, "g", after_seq=cursor)
    for seq in range(8):
        fan_out.put(entry(seq))
        fan_out.flush()
    assert seqs_on(socket.polled()) == list(range(cursor + 1, 8))
    assert rooms.ahead("g") == {}
    assert here in rooms.members("g")


async def test_a_client_that_does_not_read_is_closed_and_its_neighbours_get_everything() -> None:
    rooms = Rooms()
    closed: list[Client] = []
    fan_out = FanOut(rooms)

    def close(slow: Client) -> None:
        closed.append(slow)
        rooms.remove(slow)

    fan_out.on_slow = close
    sockets = [EngineSocket() for _ in range(2)]
    here = [client(socket) for socket in sockets]
    for one, socket in zip(here, sockets, strict=True):
        socket.use_websocket()
        one.go_direct()
        rooms.join(one, "g")
    sockets[0].transport.unread = 101
    deliveries, writes = counting(metrics.DELIVERIES), counting(metrics.DELIVERY_WRITES)
    for seq in range(3):
        fan_out.put(entry(seq))
        fan_out.flush()
    assert (deliveries(), writes()) == (4, 4)
    assert closed == [here[0]]
    assert seqs_on(b"".join(sockets[1].transport.wire)) == [0, 1, 2]
    assert len(sockets[0].transport.wire) == 1


async def test_a_client_that_does_not_read_its_answers_is_cut_off_and_counted_once() -> None:
    rooms = Rooms()
    socket = direct_member(rooms)
    (here,) = rooms.members("g")
    slow = counting(metrics.SLOW_CLIENTS)
    socket.transport.unread = 101
    for _ in range(3):
        here.send_ack(b"an answer")
    assert socket.transport.wire == [b"an answer", b"ABORTED"]
    assert slow() == 1


def test_what_comes_during_a_rest_leaves_together_when_it_ends() -> None:
    rooms = Rooms()
    fan_out = FanOut(rooms)
    socket = direct_member(rooms)

    async def rest() -> None:
        fan_out._rests_until = 1.0
        for seq in range(3):
            fan_out.put(entry(seq))
            await asyncio.sleep(0.3)
        assert socket.transport.wire == []
        await asyncio.sleep(0.2)

    loop = SimulatedLoop()
    loop.run_until_complete(rest())
    loop.close()
    assert [seqs_on(data) for data in socket.transport.wire] == [[0, 1, 2]]


async def test_it_rests_only_where_messages_shared_writes() -> None:
    rooms = Rooms()
    fan_out = FanOut(rooms)
    direct_member(rooms)
    loop = asyncio.get_running_loop()
    for messages, rests in ((1, 0.0), (2, 0.03)):
        now = iter([100.0, 100.01])
        fan_out._rests_until = 0.0
        for seq in range(messages):
            fan_out.put(entry(seq))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "time", lambda now=now: next(now))
            fan_out.flush()
        assert fan_out._rests_until == pytest.approx(100.01 + rests)
        await asyncio.sleep(0)


async def test_deliveries_and_the_writes_that_they_share_are_counted() -> None:
    rooms = Rooms()
    fan_out = FanOut(rooms)
    for _ in range(3):
        direct_member(rooms)
    deliveries, writes = counting(metrics.DELIVERIES), counting(metrics.DELIVERY_WRITES)
    for seq in range(4):
        fan_out.put(entry(seq))
    fan_out.flush()
    assert (deliveries(), writes()) == (12, 3)


@given(st.floats(0.0, 10.0), st.integers(0, 10_000), st.integers(0, 100_000))
def test_a_rest_is_thrice_as_long_as_the_spared_writes_within_what_the_others_took_and_its_bound(
    took_s: float, writes: int, spared: int
) -> None:
    rest_s = rest_after(took_s, writes, spared)
    assert 0.0 <= rest_s <= min(REST_FACTOR * took_s, MAX_REST_S) + 1e-9
    assert rest_s == 0.0 or spared > 0
    if 0 < writes <= spared:
        assert rest_s == pytest.approx(min(REST_FACTOR * took_s, MAX_REST_S))


def direct_member(rooms: Rooms) -> EngineSocket:
    """Return the socket of a member of "g" that is direct."""
    socket = EngineSocket()
    socket.use_websocket()
    here = client(socket)
    here.go_direct()
    rooms.join(here, "g")
    return socket

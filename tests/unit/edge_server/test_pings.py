"""Everybody is pinged once an interval, and whoever does not answer in time is found, once."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from edge_server.pings import Pings

INTERVAL_S, TIMEOUT_S = 25.0, 20.0


@dataclass(eq=False)
class Socket:
    last_ping: float | None = None
    pinged: list[float] = field(default_factory=list)


def turn(pings: Pings, now: float) -> list[Socket]:
    """Do one pass of the loop: ping who is due; return who has been silent for too long."""
    for socket in pings.due(now):
        socket.pinged.append(now)
        pings.pinged(socket, now)
    return pings.timed_out(now)


def answer(pings: Pings, socket: Socket, now: float) -> None:
    socket.last_ping = None
    pings.begin(socket, now)


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=12), st.integers(1, 7))
def test_who_answers_is_pinged_again_and_who_does_not_is_found_once(
    clients: list[tuple[int, bool]], step: int
) -> None:
    pings = Pings(INTERVAL_S, TIMEOUT_S)
    sockets = [Socket() for _ in clients]
    found: list[Socket] = []
    for now in range(0, 200, step):
        for socket, (comes_at, _) in zip(sockets, clients, strict=True):
            if now - step < comes_at <= now:
                pings.begin(socket, now)
        found += turn(pings, now)
        for socket, (_, answers) in zip(sockets, clients, strict=True):
            if answers and socket.last_ping is not None:
                answer(pings, socket, now)
    timed_out = [socket for socket, (_, answers) in zip(sockets, clients, strict=True) if not answers]
    assert sorted(map(id, found)) == sorted(map(id, timed_out))
    for socket, (comes_at, answers) in zip(sockets, clients, strict=True):
        assert INTERVAL_S <= socket.pinged[0] - comes_at < INTERVAL_S + 2 * step
        if answers:
            gaps = [after - before for before, after in zip(socket.pinged, socket.pinged[1:], strict=False)]
            assert all(INTERVAL_S <= gap < INTERVAL_S + step for gap in gaps)
        else:
            assert len(socket.pinged) == 1


def test_an_answer_to_an_earlier_ping_is_not_taken_for_silence() -> None:
    pings = Pings(1.0, 20.0)
    socket = Socket()
    pings.begin(socket, 0.0)
    for now in range(1, 100):
        assert turn(pings, float(now)) == []
        answer(pings, socket, float(now))

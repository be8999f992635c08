"""The law of rooms: whatever the order of coming and going, each is exactly where it joined last."""

from hypothesis import given
from hypothesis import strategies as st

from edge_server.clients import Client
from edge_server.rooms import Rooms
from runtime.tokens import Identity
from tests.unit.edge_server.transports import EngineSocket

UPS = ["up202000001", "up202000001", "up202000002"]

steps = st.lists(
    st.tuples(
        st.sampled_from(["come", "go", "leave", "join", "join ahead"]),
        st.integers(0, len(UPS) - 1),
        st.sampled_from(["g", "h"]),
        st.integers(0, 9),
    ),
    min_size=20,
    max_size=60,
)


def newcomer(sid: str, up: str) -> Client:
    return Client(sid, Identity(up, 0.0), EngineSocket(), max_bytes=1, max_packets=1)


@given(steps)
def test_each_is_exactly_where_it_joined_last(told: list[tuple[str, int, str, int]]) -> None:
    rooms = Rooms()
    everybody = [newcomer(f"sid {n}", up) for n, up in enumerate(UPS)]
    where: dict[Client, dict[str, int | None]] = {}
    for what, n, room, cursor in told:
        client = everybody[n]
        if what == "come" and client not in where:
            rooms.add(client)
            where[client] = {}
        elif what == "go" and client in where:
            del where[client]
            assert rooms.remove(client) == (client.up not in {other.up for other in where})
        elif what == "leave" and client in where:
            rooms.leave(client, room)
            where[client].pop(room, None)
        elif what.startswith("join") and client in where:
            after_seq = cursor if what == "join ahead" else None
            rooms.join(client, room, after_seq=after_seq)
            where[client][room] = after_seq
        ahead = {
            (of, who, since) for who, in_ in where.items() for of, since in in_.items() if since is not None
        }
        assert set(rooms.all_ahead()) == ahead
        for of in "gh":
            assert set(rooms.members(of)) == {c for c, in_ in where.items() if in_.get(of, 0) is None}
            assert rooms.ahead(of) == {who: since for where_, who, since in ahead if where_ == of}
            assert rooms.is_watched(of) == any(of in in_ for in_ in where.values())
        for up in UPS:
            assert rooms.of_user(up) == tuple(c for c in where if c.up == up)
        assert all(client.rooms == set(where.get(client, ())) for client in everybody)
        assert set(rooms.clients) == {client.sid for client in where}
    for client in where:
        rooms.remove(client)
    assert not any(vars(rooms).values()), "nothing is kept of those who have gone"


def test_who_is_gone_joins_nothing() -> None:
    rooms, client = Rooms(), newcomer("sid", UPS[0])
    rooms.add(client)
    client.gone = True
    rooms.join(client, "g")
    rooms.join(client, "h", after_seq=1)
    assert not rooms.is_watched("g")
    assert not rooms.is_watched("h")

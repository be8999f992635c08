"""Only a cursor that stays beyond the log's end is from another log, and its client is told so once."""

from typing import Any

import pytest

from edge_server.another_log import AnotherLog
from edge_server.clients import Client
from edge_server.rooms import Rooms
from runtime.tokens import Identity


def client() -> Client:
    return Client("sid", Identity("up000000001", 0.0), object(), max_bytes=1, max_packets=1)


def watch(rooms: Rooms, ends: dict[str, int]) -> tuple[AnotherLog, list[Any]]:
    told: list[Any] = []

    def tell(client: Client, room: str) -> None:
        told.append((client, room))
        rooms.join(client, room)

    return AnotherLog(rooms, ends.get, tell), told


@pytest.mark.parametrize(("cursor", "end"), [(50, 50), (50, 7), (0, 0)])
def test_a_cursor_that_stays_beyond_the_end_is_told_once(cursor: int, end: int) -> None:
    rooms, one = Rooms(), client()
    rooms.join(one, "g", after_seq=cursor)
    another, told = watch(rooms, {"g": end})
    another.check()
    assert told == [], "the end may have been asked for before the client came"
    another.check()
    another.check()
    assert told == [(one, "g")]


def test_a_cursor_that_the_log_reaches_meanwhile_is_this_logs() -> None:
    rooms, one, ends = Rooms(), client(), {"g": 50}
    rooms.join(one, "g", after_seq=50)
    another, told = watch(rooms, ends)
    another.check()
    ends["g"] = 51
    another.check()
    assert told == []


def test_while_the_end_is_not_known_nobody_is_told() -> None:
    rooms, one = Rooms(), client()
    rooms.join(one, "g", after_seq=50)
    another, told = watch(rooms, {})
    another.check()
    another.check()
    assert told == []


def test_a_client_that_came_back_with_another_cursor_is_looked_at_anew() -> None:
    rooms, one = Rooms(), client()
    rooms.join(one, "g", after_seq=60)
    another, told = watch(rooms, {"g": 50})
    another.check()
    rooms.join(one, "g", after_seq=55)
    another.check()
    assert told == []

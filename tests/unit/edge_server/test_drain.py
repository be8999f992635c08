"""How long an edge that stops stays, and by when it has told everybody."""

import asyncio
from typing import cast

import pytest

from edge_server.clients import Client
from edge_server.drain import DEAF_AFTER_S, NOTIFY_SHARE, Drain
from edge_server.elsewhere import Elsewhere
from edge_server.rooms import Rooms
from runtime.assignments import Assignments
from tests.unit.edge_server.edge_a import EdgeA, Stranger

LONG_S = 3_600.0


async def stay(clients: int, deadline_s: float) -> tuple[Rooms, "asyncio.Task[None]"]:
    rooms = Rooms()
    for n in range(clients):
        rooms.add(cast(Client, Stranger(sid=str(n))))
    drain = Drain(Elsewhere("a", Assignments()), rooms)
    drain.begin(deadline_s)
    return rooms, asyncio.create_task(drain.until_empty())


async def test_a_stopping_edge_stays_as_long_as_anybody_is_here() -> None:
    rooms, stays = await stay(2, LONG_S)
    while rooms.clients:
        await asyncio.sleep(0)
        assert not stays.done()
        rooms.clients.popitem()
    await asyncio.wait_for(stays, LONG_S / 60)


@pytest.mark.parametrize(("clients", "deadline_s"), [(0, LONG_S), (1, 0.0)])
async def test_a_stopping_edge_goes_where_nobody_is_here_and_when_its_time_is_over(
    clients: int, deadline_s: float
) -> None:
    _, stays = await stay(clients, deadline_s)
    await asyncio.wait_for(stays, LONG_S / 60)


async def test_everybody_is_told_in_the_first_part_of_the_time_and_without_an_end_there_is_no_hurry() -> None:
    loop, drain = asyncio.get_running_loop(), EdgeA().drain
    assert drain.left_to_notify_s(loop.time()) is None
    earliest = loop.time()
    drain.begin(LONG_S)
    told_by = drain.left_to_notify_s(0.0)
    assert told_by is not None
    assert earliest <= told_by - NOTIFY_SHARE * LONG_S <= loop.time()


def test_an_edge_that_is_asked_to_drain_gives_its_clients_away_and_does_not_stop() -> None:
    for draining in ((), ("a",)):
        drain = EdgeA(draining).drain
        assert (drain.active, drain.stopping) == (bool(draining), False)


def test_a_deaf_edge_gives_those_away_whom_the_table_has_given_to_others_and_asks_nobody_to_go() -> None:
    rooms = Rooms()
    for deaf_s, deaf in ((DEAF_AFTER_S - 0.1, False), (DEAF_AFTER_S, True)):
        drain = Drain(Elsewhere("a", Assignments()), rooms, lambda deaf_s=deaf_s: deaf_s)  # type: ignore[misc]
        assert (drain.active, drain.deaf, drain.wanted) == (deaf, deaf, False)

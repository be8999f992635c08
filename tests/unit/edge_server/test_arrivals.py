"""Arrivals: only so many handshakes and bodies at once and in a second, and none for ever."""

import asyncio
from typing import Any, cast

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from edge_server.arrivals import Arrivals, PolledBodies
from edge_server.settings import EdgeSettings
from runtime.refusing import NoRoom
from schemas.refusals import OVERLOADED, SLOW_REQUEST, ErrorAnswer, Refused
from tests.unit.edge_server.gated_edge import an_edge


def arrivals(**changes: Any) -> Arrivals:
    return Arrivals(EdgeSettings(**{"connects_burst": 1_000, **changes}))


def test_only_so_many_handshakes_are_under_way_at_once() -> None:
    here = arrivals(max_handshakes=3)
    for n in range(3):
        here.require_room(0.0)
        here.begin(f"s{n}", 0.0)
    with pytest.raises(Refused) as refused:
        here.require_room(0.0)
    assert refused.value.refusal is OVERLOADED
    here.end("s1")
    here.require_room(0.0)


def test_only_so_many_begin_in_a_second() -> None:
    here = arrivals(connects_per_s=10, connects_burst=5)
    for n in range(5):
        here.require_room(0.0)
        here.begin(f"s{n}", 0.0)
    with pytest.raises(Refused):
        here.require_room(0.0)
    here.require_room(0.3)


def test_handshakes_that_take_too_long_are_told_oldest_first() -> None:
    here = arrivals(handshake_within_s=10)
    here.begin("old", 0.0)
    here.begin("done", 1.0)
    here.begin("older than allowed", 2.0)
    here.begin("new", 9.0)
    here.end("done")
    assert here.overdue(9.9) == []
    assert here.overdue(12.0) == ["old", "older than allowed"]
    assert len(here._since) == 3


def test_the_end_of_an_unknown_connection_changes_nothing() -> None:
    here = arrivals()
    here.end("nobody")
    assert len(here._since) == 0


class Body:
    """Stands for a request: its body has come when ``ends`` is set, or its client goes before that."""

    def __init__(self, ends: asyncio.Event, *, client_goes: bool = False) -> None:
        self.headers: dict[str, str] = {}
        self._ends = ends
        self._client_goes = client_goes

    def clone(self, *, client_max_size: int) -> "Body":
        assert client_max_size == EdgeSettings().max_event_bytes
        return self

    async def read(self) -> None:
        if self._client_goes:
            raise ConnectionResetError
        await self._ends.wait()


@given(st.integers(1, 6), st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12))
async def test_so_many_bodies_are_read_at_once_and_past_half_of_them_only_students(
    most: int, asked: list[tuple[bool, bool]]
) -> None:
    bodies, ends = PolledBodies(EdgeSettings(max_bodies=most)), asyncio.Event()
    under_way: list[asyncio.Task[web.Request]] = []
    for is_newcomer, client_goes in asked:
        body = cast(web.Request, Body(ends, client_goes=client_goes))
        reading = asyncio.create_task(bodies.read(body, is_newcomer=is_newcomer))
        await asyncio.sleep(0)
        has_room = len(under_way) < (most / 2 if is_newcomer else most)
        if has_room and not client_goes:
            under_way.append(reading)
        else:
            with pytest.raises(Refused) as refused:
                await reading
            assert refused.value.refusal is (SLOW_REQUEST if has_room else OVERLOADED)
            assert isinstance(refused.value, NoRoom) is (is_newcomer and not has_room), "that wakes somebody"
    assert not any(reading.done() for reading in under_way)
    ends.set()
    await asyncio.gather(*under_way)


def test_who_is_left_by_their_client_has_the_time_of_a_newcomer() -> None:
    here = arrivals(handshake_within_s=10, connects_burst=1, connects_per_s=0.001)
    here.begin("joined", 0.0)
    here.end("joined")
    assert "joined" not in here
    here.begin_again("joined", 50.0)
    assert "joined" in here
    assert (here.overdue(59.9), here.overdue(60.0)) == ([], ["joined"])


async def test_a_newcomer_without_room_reads_which_refusal_it_was_and_when_to_come_back() -> None:
    async with an_edge(max_handshakes=1) as edge:
        url = f"{edge.url}?EIO=4&transport=polling"
        async with edge.session.get(url), edge.session.get(url) as refused:
            error = ErrorAnswer.model_validate(await refused.json()).error
    assert error.code == OVERLOADED.code
    assert refused.headers["X-Request-Id"] == error.request_id
    assert refused.headers["Retry-After"] == str(error.retry_after)

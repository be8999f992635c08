"""Polls come one at a time, bring what their client takes, and never go on behind a hole."""

import asyncio
import time
from contextlib import closing
from socket import SO_RCVBUF, SOL_SOCKET
from types import SimpleNamespace
from typing import cast
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from engineio import async_socket, packet
from hypothesis import given
from hypothesis import strategies as st

from edge_server.polls import PolledBodies
from edge_server.settings import EdgeSettings
from runtime import metrics
from runtime.refusing import NoCapacity
from schemas.refusals import OVERLOADED, SLOW_REQUEST
from tests.counting import counting
from tests.unit.edge_server.gated_edge import an_edge
from tests.unit.refusing import refuses
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("looks_often")


async def test_a_poll_that_is_sent_again_ends_its_session() -> None:
    """As aiohttp and browsers do where a connection that was kept breaks before the answer comes."""
    hits = counting(metrics.LIMIT_HITS.labels(limit="repeated polls"))
    async with an_edge() as edge:
        client = await edge.poller()
        url = client.url
        assert await client.say('421["any"]') == 200
        client.url = f"{url}&t=a1"
        assert await client.poll() == '431["answered"]'
        assert await client.say('422["any"]') == 200
        assert "Invalid session" in await client.poll()
        await eventually("the client is gone", lambda: edge.ends == [edge.server.reason.TRANSPORT_ERROR])
    assert hits() == 1


async def test_an_answer_to_a_poll_whose_client_has_gone_ends_its_session() -> None:
    """Also of a client that sends it again by itself, and without a stamp: it would go on behind a hole."""
    async with an_edge() as edge:
        client = await edge.poller()
        (session,) = edge.server.eio.sockets.values()
        where = urlsplit(client.url)
        _, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(f"GET {where.path}?{where.query} HTTP/1.1\r\nHost: edge\r\n\r\n".encode())
        await eventually("a poll waits", lambda: bool(session.queue._getters))
        writer.close()
        await writer.wait_closed()
        assert await client.say('421["any"]') == 200
        await eventually("the client is gone", lambda: edge.ends == [edge.server.reason.TRANSPORT_ERROR])
        assert "Invalid session" in await client.poll()


async def test_polls_with_another_stamp_or_none_go_on() -> None:
    async with an_edge() as edge:
        client = await edge.poller()
        url = client.url
        for stamp in ("&t=a1", "&t=a2", "", "", "&t=a1"):
            client.url = url + stamp
            assert await client.say('421["any"]') == 200
            assert await client.poll() == '431["answered"]'
        client.url = f"{url}&t=a1"
        socket = await client.upgraded()
        await socket.send_str('422["any"]')
        assert await socket.receive_str() == '432["answered"]'
        assert not edge.ends


async def test_polls_within_a_second_go_on_whose_stamp_is_that_second() -> None:
    async with an_edge() as edge:
        client = await edge.poller()
        client.url += "&t=1764571000"
        for _ in range(3):
            assert await client.say('421["any"]') == 200
            assert await client.poll() == '431["answered"]'


async def test_a_poll_brings_no_more_packets_than_pythons_client_takes() -> None:
    async with an_edge() as edge:
        client = await edge.poller()
        assert await client.say(*(f'42{n}["any"]' for n in range(40))) == 200
        polls = [(await client.poll()).split("\x1e") for _ in range(3)]
        assert [len(packets) for packets in polls] == [16, 16, 8]
        assert [packet for packets in polls for packet in packets] == [
            f'43{n}["answered"]' for n in range(40)
        ]


@pytest.mark.parametrize("headers", [{}, {"Connection": "keep-alive, upgrade"}, {"Upgrade": "websocket"}])
async def test_a_session_polls_once_at_a_time(headers: dict[str, str]) -> None:
    """Nor does half a word of an upgrade let it poll more often."""
    hits = counting(metrics.LIMIT_HITS.labels(limit="polls of a session"))
    async with an_edge() as edge:
        client = await edge.poller()

        async def poll() -> str:
            async with edge.session.get(client.url, headers=headers) as answer:
                return await answer.text()

        (session,) = edge.sessions
        first = asyncio.create_task(client.poll())
        await eventually("it polls", lambda: bool(session.queue._getters))
        assert "rate_limited" in await poll()
        await client.say('421["anything"]')
        assert "answered" in await first
        await client.say('422["anything"]')
        assert "answered" in await client.poll()
    assert hits() >= 1


async def test_an_answer_that_is_not_read_is_the_only_one_of_its_session_and_ends_it_in_time() -> None:
    """It stands in no queue any more: as many as a session could ask for would stay without a bound."""
    hits = counting(metrics.LIMIT_HITS.labels(limit="slow polls"))
    async with an_edge(ping_timeout_s=1.0) as edge:
        client = await edge.poller()
        (session,) = edge.server.eio.sockets.values()
        where = urlsplit(client.url)
        reader, writer = await asyncio.open_connection(where.hostname, where.port, limit=1_024)
        with closing(writer):
            writer.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_RCVBUF, 2_048)
            session.queue.put_nowait(packet.Packet(packet.MESSAGE, "x" * 1_000_000))
            writer.write(f"GET {where.path}?{where.query} HTTP/1.1\r\nHost: edge\r\n\r\n".encode())
            await reader.readexactly(15)
            assert "rate_limited" in await client.poll()
            await eventually("the slow one is gone", lambda: hits() == 1)
            await eventually("its session has ended", lambda: len(edge.ends) == 1)
            assert "Invalid session" in await client.poll()


async def test_who_polls_no_answers_is_closed() -> None:
    async with an_edge(max_queued_packets=10, events_burst_per_client=10**6) as edge:
        client = await edge.poller()
        while await client.say(*['421["anything"]'] * 5) == 200:
            pass
        await edge.is_empty()
        assert len(edge.ends) == 1


async def test_a_ping_does_not_wait_behind_what_a_client_has_yet_to_take() -> None:
    async with an_edge() as edge:
        client = await edge.poller()
        await client.say(*(f'42{n}["any"]' for n in range(40)))
        (session,) = edge.server.eio.sockets.values()
        await eventually("all is answered", lambda: session.queue.qsize() == 40)
        await edge.server.eio._ping(session)
        assert (await client.poll()).startswith("2\x1e430[")


async def test_a_step_of_the_wall_clock_closes_nobody_who_has_just_been_pinged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with an_edge() as edge:
        client = await edge.poller()
        await edge.server.eio._ping(edge.sessions[0])
        monkeypatch.setattr(async_socket, "time", SimpleNamespace(time=lambda: time.time() + 3_600))
        await client.say('421["any"]')
        assert await client.poll() == '2\x1e431["answered"]'


class Body:
    """Stands for a request: its body has come when ``ends`` is set, or its client goes before that."""

    def __init__(self, ends: asyncio.Event, *, client_goes: bool = False) -> None:
        self.headers: dict[str, str] = {}
        self._ends = ends
        self._client_goes = client_goes

    def clone(self, *, client_max_size: int) -> "Body":
        assert client_max_size == EdgeSettings().max_event_bytes
        return self

    async def read(self) -> bytes:
        if self._client_goes:
            raise ConnectionResetError
        await self._ends.wait()
        return b""


@given(st.integers(1, 6), st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12))
async def test_so_many_bodies_are_read_at_once_and_past_half_of_them_only_students(
    most: int, asked: list[tuple[bool, bool]]
) -> None:
    bodies, ends = PolledBodies(EdgeSettings(max_bodies=most)), asyncio.Event()
    hits, refused_for_capacity = counting(metrics.LIMIT_HITS.labels(limit="bodies")), 0
    under_way: list[asyncio.Task[web.Request]] = []
    for is_newcomer, client_goes in asked:
        body = cast(web.Request, Body(ends, client_goes=client_goes))
        reading = asyncio.create_task(bodies.read(body, is_newcomer=is_newcomer))
        await asyncio.sleep(0)
        has_capacity = len(under_way) < (most / 2 if is_newcomer else most)
        refused_for_capacity += not has_capacity
        if has_capacity and not client_goes:
            under_way.append(reading)
        else:
            with refuses(SLOW_REQUEST if has_capacity else OVERLOADED) as refused:
                await reading
            wakes_nobody = isinstance(refused.value, NoCapacity)
            assert wakes_nobody is (is_newcomer and not has_capacity)
    assert hits() == refused_for_capacity
    assert not any(reading.done() for reading in under_way)
    ends.set()
    await asyncio.gather(*under_way)

"""Polls come one at a time, bring what their client takes, and never go on behind a hole."""

import asyncio
from contextlib import closing
from socket import SO_RCVBUF, SOL_SOCKET
from urllib.parse import urlsplit

import pytest
from engineio import packet

from runtime import metrics
from tests.unit.edge_server.gated_edge import an_edge
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("looks_often")


async def test_a_poll_that_is_sent_again_ends_its_session() -> None:
    """As aiohttp and browsers do where a connection that was kept breaks before the answer comes."""
    async with an_edge() as edge:
        client = await edge.poller()
        url = client.url
        assert await client.say('421["any"]') == 200
        client.url = f"{url}&t=1"
        assert await client.poll() == '431["answered"]'
        assert await client.say('422["any"]') == 200
        assert "Invalid session" in await client.poll()
        await eventually("the client is gone", lambda: edge.ends == [edge.server.reason.TRANSPORT_ERROR])


async def test_polls_with_another_stamp_or_none_go_on() -> None:
    async with an_edge() as edge:
        client = await edge.poller()
        url = client.url
        for stamp in ("&t=1", "&t=2", "", "", "&t=1"):
            client.url = url + stamp
            assert await client.say('421["any"]') == 200
            assert await client.poll() == '431["answered"]'
        client.url = f"{url}&t=1"
        socket = await client.upgraded()
        await socket.send_str('422["any"]')
        assert await socket.receive_str() == '432["answered"]'
        assert not edge.ends


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
    async with an_edge() as edge:
        client = await edge.poller()

        async def poll() -> str:
            async with edge.session.get(client.url, headers=headers) as answer:
                return await answer.text()

        first = asyncio.create_task(client.poll())
        answers = set[str]()
        while not any("rate_limited" in answer for answer in answers):
            waiting = asyncio.create_task(poll())
            await asyncio.wait([waiting], timeout=0.05)
            if waiting.done():
                answers.add(waiting.result())
        await client.say('421["anything"]')
        assert "answered" in await first
        await client.say('422["anything"]')
        assert "answered" in await client.poll()


async def test_an_answer_that_is_not_read_is_the_only_one_of_its_session_and_ends_in_time() -> None:
    """It stands in no queue any more: as many as a session could ask for would stay without a bound."""
    hits = metrics.LIMIT_HITS.labels(limit="slow polls")._value
    before = hits.get()
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
            await eventually("the slow one is gone", lambda: hits.get() == before + 1)
            session.queue.put_nowait(packet.Packet(packet.MESSAGE, "next"))
            assert await client.poll() == "4next"


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
        await edge.server.eio._ping(session, now=0.0)
        assert (await client.poll()).startswith("2\x1e430[")

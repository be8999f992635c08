"""Whoever polls and asks for a websocket loses nothing by it, and holds no more than others do."""

import asyncio

import engineio
import pytest
from engineio import packet

from edge_server import packet_queue
from edge_server.packet_queue import MOST_A_POLL_OF_PYTHONS, PacketQueue
from tests.unit.edge_server.gated_edge import Poller, an_edge, is_closed, wire_of
from tests.waiting import eventually


async def test_who_never_hears_that_its_websocket_is_heard_is_answered_by_polls() -> None:
    async with an_edge(handshake_within_s=60) as edge:
        client = await edge.poller()
        socket = await client.upgrade()
        await socket.send_str("2probe")
        assert await socket.receive_str() == "3probe"
        assert await client.poll() == "6"
        assert await client.say('421["anything"]') == 200
        assert await client.poll() == '431["answered"]'
        assert await client.poll() == "6"
        await socket.send_str("5")
        await socket.send_str('422["anything"]')
        assert await socket.receive_str() == '432["answered"]'


async def test_polls_of_who_is_heard_end_with_nothing_and_not_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = PacketQueue()
    queue.ends_polls = True
    poll = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not poll.done()
    queue.put_nowait(packet.Packet(packet.MESSAGE, "text"))
    assert (await poll).data == "text"
    monkeypatch.setattr(packet_queue, "ENDS_POLLS_AFTER_S", 0.01)
    assert (await queue.get()).packet_type == packet.NOOP
    queue.task_done()
    queue.task_done()
    assert queue.empty()


async def test_a_poll_brings_all_there_is_to_whoever_takes_it() -> None:
    async with an_edge() as edge:
        edge.session.headers["User-Agent"] = "Mozilla/5.0"
        client = await edge.poller()
        assert await client.say(*(f'42{n}["any"]' for n in range(40))) == 200
        assert len((await client.poll()).split("\x1e")) == 40


async def test_a_poll_brings_pythons_client_what_it_takes_also_by_a_user_agent_of_its_own() -> None:
    async with an_edge() as edge:
        edge.session.headers["User-Agent"] = "StudentApp/1.0"
        client = Poller(edge.session, edge.url)
        client.url += (stamp := engineio.AsyncClient()._get_url_timestamp())
        await client.hello(join=False)
        client.url = client.url.replace(stamp, "")
        assert await client.say("40{}", *(f'42{n}["any"]' for n in range(40))) == 200
        assert len((await client.poll()).split("\x1e")) == MOST_A_POLL_OF_PYTHONS


@pytest.mark.parametrize("end", ["1", "6"])
async def test_the_websocket_of_a_stranger_ends_with_its_session(end: str) -> None:
    async with an_edge(max_handshakes=3, handshake_within_s=60) as edge:
        unfinished = edge.server._websockets.unfinished
        for _ in range(9):
            client = await edge.poller(join=False)
            socket = await client.upgrade()
            wire_of(socket).write(b"\x81\xfe\xff\xff\0\0\0\0" + 30_000 * b"x")
            await eventually("it is read", lambda: unfinished.bytes)
            await client.say(end)
            await eventually("nothing is held of it", lambda: not unfinished.bytes)
            await is_closed(socket)

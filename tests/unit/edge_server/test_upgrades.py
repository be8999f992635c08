"""Whoever polls and asks for a websocket loses nothing by it, and holds no more than others do."""

import asyncio

import engineio
import pytest
from aiohttp import WSCloseCode, WSMsgType, WSServerHandshakeError
from engineio import packet

from edge_server import packet_queue
from edge_server.packet_queue import MOST_A_POLL_OF_PYTHONS, PacketQueue
from runtime import metrics
from tests.counting import counting
from tests.unit.edge_server.client_frames import frames_of
from tests.unit.edge_server.gated_edge import Poller, an_edge, is_closed, wire_of
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("looks_often")


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
        assert await client.say("40{}") == 200
        assert await client.say(*(f'42{n}["any"]' for n in range(40))) == 200
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


async def test_a_session_has_one_upgrade_at_a_time_and_it_ends_in_time() -> None:
    async with an_edge(handshake_within_s=3.0) as edge:
        client = await edge.poller()
        half_open = await client.upgrade()
        hits = counting(metrics.LIMIT_HITS.labels(limit="upgrades of a session"))
        with pytest.raises(WSServerHandshakeError, match="409"):
            await client.upgrade()
        assert hits() == 1
        await is_closed(half_open)
        await client.say('421["anything"]')
        assert "answered" in await client.poll()


@pytest.mark.parametrize("first", ["z", "4", "", "6"])
async def test_an_upgrade_that_breaks_off_leaves_the_client_polling(first: str) -> None:
    async with an_edge() as edge:
        client = await edge.poller()
        broken = await client.upgrade()
        await broken.send_str(first)
        await is_closed(broken)
        await client.say('421["anything"]')
        assert "answered" in await client.poll()


@pytest.mark.parametrize("joined", [False, True])
async def test_who_upgrades_may_send_long_frames_once_it_is_known_who_they_are(joined: bool) -> None:
    async with an_edge(max_event_bytes=98_304) as edge:
        client = await edge.poller(join=joined)
        socket = await client.upgraded()
        await socket.send_str("4" + "x" * 1_500_000)
        answer = await socket.receive()
        if joined:
            assert "too_large" in answer.data
        else:
            assert (answer.type, socket.close_code) == (WSMsgType.CLOSE, WSCloseCode.MESSAGE_TOO_BIG)
        await socket.close()


async def test_many_messages_after_an_upgrade_are_not_one_that_never_ends() -> None:
    async with an_edge(max_event_bytes=98_304, events_burst_per_client=10**6) as edge:
        client = await edge.poller(join=False)
        socket = await client.upgraded()
        for _ in range(50):
            await socket.send_str("6" + "x" * 3_000)
        await socket.send_str("40{}")
        assert (await socket.receive_str()).startswith('40{"sid":')
        await socket.close()


@pytest.mark.parametrize("spoilt", ["Sec-WebSocket-Key", "Sec-WebSocket-Version"])
async def test_a_request_for_a_websocket_that_is_refused_leaves_the_client_polling(spoilt: str) -> None:
    async with an_edge() as edge:
        client = await edge.poller()
        url = client.url.replace("=polling", "=websocket")
        whole = {
            "Connection": "Upgrade", "Upgrade": "websocket",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version": "13",
        }  # fmt: skip
        async with edge.session.get(url, headers={**whole, spoilt: "no"}) as answer:
            assert answer.status == 400
        assert await client.say('421["any"]') == 200
        assert await client.poll() == '431["answered"]'
        await client.upgraded()


@pytest.mark.parametrize("headers", [{"Upgrade": "websocket"}, {"Connection": "Upgrade"}])
async def test_half_a_wish_for_a_websocket_begins_no_session(headers: dict[str, str]) -> None:
    """A proxy that drops the other half does this to every client: each was answered by 500, and logged."""
    async with an_edge() as edge:
        url = f"{edge.url}?EIO=4&transport=websocket"
        async with edge.session.get(url, headers=headers) as answer:
            assert (answer.status, await answer.text()) == (400, '"Invalid websocket upgrade"')
        assert not edge.server.eio.sockets


async def test_a_wish_for_two_protocols_is_a_poll_like_any_other() -> None:
    """engine.io reads both lines as one: by the first alone, a session had any number of polls at once."""
    both = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Upgrade", "h2c")]
    async with an_edge() as edge, asyncio.TaskGroup() as tasks:
        client = await edge.poller()
        (session,) = edge.sessions
        first = tasks.create_task(edge.session.get(client.url, headers=both))
        await eventually("it polls", lambda: session.queue._getters)
        second = tasks.create_task(edge.session.get(client.url, headers=both))
        await eventually("it is refused, or polls", lambda: second.done() or len(session.queue._getters) > 1)
        await client.say('421["any"]', '422["any"]')
        assert (await second).status == 429
        assert (await first).status == 200


async def test_a_poll_that_waits_while_its_client_comes_over_just_ends() -> None:
    async with an_edge() as edge, asyncio.TaskGroup() as tasks:
        client = await edge.poller()
        socket = await client.upgrade()
        waiting = tasks.create_task(edge.session.get(client.url))
        (session,) = edge.server.eio.sockets.values()
        await eventually("it polls", lambda: session.queue._getters)
        wire_of(socket).write(frames_of("2probe", 0, ping=False) + frames_of("5", 0, ping=False))
        assert (await waiting).status == 200
        assert await socket.receive_str() == "3probe"
        await socket.send_str('421["any"]')
        while not (await socket.receive_str()).startswith("431"):
            pass


async def test_nonsense_after_an_upgrade_ends_the_session_at_once() -> None:
    async with an_edge() as edge:
        client = await edge.poller()
        socket = await client.upgraded()
        await socket.send_str("z")
        await is_closed(socket)
        await edge.is_empty()
        assert len(edge.ends) == 1

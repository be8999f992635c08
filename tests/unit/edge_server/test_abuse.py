"""What a client can make an edge hold, repeat or compute is bounded, whatever it does with the protocol.

The socket server has nothing behind it here: `tests/integration/security` tries whole services.
"""

import asyncio
import gc
import logging
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from io import BytesIO
from itertools import pairwise
from socket import SO_RCVBUF, SOL_SOCKET
from urllib.parse import urlsplit

import pytest
from aiohttp import (
    WSCloseCode,
    WSMsgType,
    WSServerHandshakeError,
)
from engineio import packet

from edge_server import engine, socket_server
from edge_server.clients import Client
from edge_server.frames import text_frame
from runtime import metrics
from runtime.tokens import Identity
from schemas.refusals import INVALID_PAYLOAD, MAX_DETAIL_CHARS, Refused
from tests.unit.edge_server.client_frames import frames_of
from tests.unit.edge_server.gated_edge import SOON_S, Edge, an_edge, is_closed, wire_of
from tests.unit.edge_server.left_over import ids_of
from tests.unit.edge_server.transports import EngineSocket
from tests.waiting import eventually


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_DIR", "")
    monkeypatch.setattr(socket_server, "LOOK_EVERY_S", 0.02)


@pytest.mark.parametrize(
    "event", ['"connect",{},{"token":"x"}', '"disconnect","a label"', '"*"', "{}", '["x"]', "1", ""]
)
async def test_no_event_is_taken_for_a_call_of_the_librarys_own(event: str) -> None:
    async with an_edge() as edge:
        socket = await edge.websocket()
        await socket.send_str(f"427[{event}]")
        assert '"error":{"code":' in await socket.receive_str()
        assert (edge.connects, edge.ends) == (1, [])
        await socket.close()


@pytest.mark.parametrize(
    ("hello", "namespace", "code"),
    [
        ("40/chat,{}", "/chat,", "not_found"),
        ("40/chat", "/chat,", "not_found"),
        ('40{"token":', "", "bad_json"),
    ],
    ids=["another namespace", "and no auth", "no JSON"],
)
async def test_a_connection_that_is_refused_early_is_told_so_as_a_client_can_hear_it(
    hello: str, namespace: str, code: str
) -> None:
    """Before it is connected a client hears of a connect_error only: events wait, for ever."""
    async with an_edge() as edge:
        client = await edge.poller(join=False)
        await client.say(hello)
        told = await client.poll()
        assert told.startswith(f'44{namespace}{{"message":"')
        assert f'"data":{{"code":"{code}"' in told
        assert edge.connects == 0


async def test_an_event_with_something_binary_is_refused_by_the_ack_that_it_asks_for() -> None:
    async with an_edge() as edge:
        socket = await edge.websocket()
        await socket.send_str('4512-17["chat message",{"_placeholder":true,"num":0}]')
        assert (await socket.receive_str()).startswith('4317[{"error":{"code":"invalid_payload"')
        await socket.close()


async def test_half_of_a_surrogate_pair_is_refused_as_what_it_is() -> None:
    """JavaScript cuts emoji so, and its JSON is JSON all the same: "not valid JSON" alone would mislead."""
    async with an_edge() as edge:
        socket = await edge.websocket()
        await socket.send_str('427["chat message",{"message":"\\ud83d"}]')
        answer = await socket.receive_str()
        assert '"code":"bad_json"' in answer
        assert "Unicode" in answer
        await socket.close()


async def test_what_looks_like_a_session_id_does_not_pass_the_gate() -> None:
    async with an_edge(max_handshakes=1) as edge:
        await edge.poller(join=False)
        for query in ("xsid=1", "sid=", "a=sid="):
            async with edge.session.get(f"{edge.url}?EIO=4&transport=polling&{query}") as answer:
                assert answer.status == 503


@pytest.mark.parametrize(
    ("limit", "settings"), [("handshakes", {"max_handshakes": 1}), ("connects", {"connects_burst": 1})]
)
async def test_a_newcomer_without_room_is_no_refusal_that_wakes_somebody(
    limit: str, settings: dict[str, int]
) -> None:
    counts = [metrics.LIMIT_HITS.labels(limit=limit), metrics.REFUSALS.labels(code="overloaded")]
    before = [count._value.get() for count in counts]
    async with an_edge(connects_per_s=0.001, **settings) as edge:
        await edge.poller(join=False)
        async with edge.session.get(f"{edge.url}?EIO=4&transport=polling") as refused:
            assert (refused.status, (await refused.json())["error"]["code"]) == (503, "overloaded")
    assert [count._value.get() - had for count, had in zip(counts, before, strict=True)] == [1, 0]


async def test_who_is_no_student_does_not_keep_students_from_speaking_by_bodies_that_never_come() -> None:
    """A stranger's body is not read at all, and a newcomer's only where there is room enough."""
    async with an_edge(max_bodies=2) as edge, AsyncExitStack() as stack:
        student, newcomer = await edge.poller(), await edge.poller(join=False)
        for sid in (*["nobody"] * 5, newcomer.sid):
            _, writer = await stalled_body(edge, sid)
            stack.enter_context(closing(writer))
        refusals = metrics.REFUSALS.labels(code="overloaded")
        before = refusals._value.get()
        late = await edge.poller(join=False)
        while await late.say("40{}") != 503:
            pass
        assert await student.say('42["hello"]') == 200
        assert refusals._value.get() == before


async def test_a_body_that_does_not_come_in_time_is_given_up_and_leaves_its_place_to_the_next() -> None:
    hits = metrics.LIMIT_HITS.labels(limit="slow bodies")._value
    before = hits.get()
    async with an_edge(max_bodies=1, body_within_s=SOON_S) as edge:
        late, student = await edge.poller(), await edge.poller()
        reader, writer = await stalled_body(edge, late.sid)
        assert b" 408 " in await reader.readline()
        await reader.readuntil(b'"slow_request"')
        writer.close()
        reader, writer = await stalled_body(edge, "nobody")
        assert b"connection: close" in (await reader.readuntil(b"\r\n\r\n")).lower(), "its body is not read"
        writer.close()
        assert await student.say('42["hello"]') == 200
    assert hits.get() == before + 1


async def stalled_body(edge: Edge, sid: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Announce a body for a session, and send none of it."""
    url = urlsplit(edge.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    path = f"{url.path}?EIO=4&transport=polling&sid={sid}"
    writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n".encode())
    await writer.drain()
    return reader, writer


@pytest.mark.parametrize("listed", ["*", "https://chat.example/, https://app.example"])
@pytest.mark.parametrize("origin", ["https://app.example", "https://evil.example", "null", "", None])
async def test_a_refusal_is_for_the_pages_that_may_read_an_answer(listed: str, origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin}
    async with an_edge(max_handshakes=1, allowed_origins=listed) as edge:
        url = f"{edge.url}?EIO=4&transport=polling"
        async with (
            edge.session.get(url, headers=headers) as answered,
            edge.session.get(url),
            edge.session.get(url, headers=headers) as refused,
        ):
            assert refused.status == 503
    name = "Access-Control-Allow-Origin"
    assert refused.headers.get(name) == answered.headers.get(name)


async def test_a_head_that_would_stay_with_its_connection_is_small() -> None:
    headers = {f"X-{n}": "x" * 4_000 for n in range(5)}
    async with (
        an_edge() as edge,
        edge.session.get(f"{edge.url}?EIO=4&transport=polling", headers=headers) as answer,
    ):
        assert answer.status == 413


async def test_bytes_that_are_no_http_are_answered_and_are_no_error_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with an_edge() as edge:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(edge.url).port)
        writer.write(b"GET / HTTP/1.1\r\nno header\r\n\r\n")
        assert b" 400 " in await reader.readline()
        writer.close()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_requests_that_begin_no_connection_spend_nobodys_room() -> None:
    async with an_edge(connects_per_s=0.001, connects_burst=1) as edge:
        for url in ("", "?EIO=3", "?EIO=4&transport=pigeon", "nowhere"):
            async with edge.session.get(edge.url + url) as answer:
                assert answer.status in {400, 404}
        await edge.poller()


async def test_a_session_has_one_upgrade_at_a_time_and_it_ends_in_time() -> None:
    async with an_edge(handshake_within_s=3.0) as edge:
        client = await edge.poller()
        half_open = await client.upgrade()
        hits = metrics.LIMIT_HITS.labels(limit="upgrades of a session")._value
        before = hits.get()
        with pytest.raises(WSServerHandshakeError, match="409"):
            await client.upgrade()
        assert hits.get() == before + 1
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
    async with an_edge(max_event_bytes=32_768) as edge:
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
    async with an_edge(max_event_bytes=32_768, events_burst_per_client=10**6) as edge:
        client = await edge.poller(join=False)
        socket = await client.upgraded()
        for _ in range(50):
            await socket.send_str("6" + "x" * 1_000)
        await socket.send_str("40{}")
        assert (await socket.receive_str()).startswith('40{"sid":')
        await socket.close()


@pytest.mark.parametrize(
    "body",
    ["6", "0", "2", "z", "4\x1ez", "9", "d=", "d=40{}", "5", "40{}\x1e5", "3\x1e3", "1\x1e1", "1\x1e3"],
)
async def test_a_body_that_no_client_would_send_is_answered_and_ends_its_session(
    body: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with an_edge() as edge:
        client = await edge.poller(join=False)
        assert await client.say(body) == 400
        assert await client.say("40{}") == 400
        await edge.is_empty()
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize("way", ["a body", "a websocket"])
async def test_others_are_served_between_packets_that_come_together(way: str) -> None:
    handled = metrics.REFUSALS.labels(code="bad_json")._value
    seen = [handled.get()]

    async def look() -> None:
        while True:
            seen.append(handled.get())
            await asyncio.sleep(0)

    async with an_edge() as edge:
        looking = asyncio.create_task(look())
        if way == "a body":
            client = await edge.poller()
            assert await client.say(*["4z"] * 500) == 200
        else:
            socket = await edge.websocket()
            for _ in range(500):
                await socket.send_str("4z")
        await eventually("all are handled", lambda: seen[-1] == seen[0] + 500)
        looking.cancel()
    assert max(after - before for before, after in pairwise(seen)) == 1


async def test_the_answer_to_a_ping_and_a_goodbye_may_come_with_messages() -> None:
    async with an_edge() as edge:
        client = await edge.poller()
        assert await client.say('421["anything"]', "3") == 200
        assert "answered" in await client.poll()
        assert await client.say("3", '42["anything"]', "1") == 200
        await edge.is_empty()
        assert edge.ends == ["client disconnect"]


async def test_a_body_that_is_too_long_is_refused_by_name_and_counted() -> None:
    refused = metrics.REFUSALS.labels(code="too_large")._value
    before = refused.get()
    async with an_edge() as edge:
        client = await edge.poller()
        async with edge.session.post(client.url, data=BytesIO(b"4" * 1_100_000)) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (413, "too_large")
    assert refused.get() == before + 1


@pytest.mark.parametrize("says_length", [True, False])
async def test_who_is_not_let_in_may_send_no_longer_body_than_an_event(says_length: bool) -> None:
    async def parts(size: int) -> AsyncIterator[bytes]:
        yield b"4" * size

    async with an_edge(max_event_bytes=32_768, handshake_within_s=60) as edge:
        client = await edge.poller(join=False)
        for size, status in ((32_769, 413), (32_768, 200)):
            body = b"4" * size if says_length else parts(size)
            async with edge.session.post(client.url, data=body) as answer:
                assert answer.status == status
        await client.poll()
        await client.say("40{}")
        assert (await client.poll()).startswith('40{"sid":')
        async with edge.session.post(client.url, data=b"4" * 32_769) as answer:
            assert answer.status == 200


async def test_a_body_that_does_not_say_its_length_is_read_all_the_same() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for part in (b'421["any', b'thing"]'):
            yield part

    async with an_edge() as edge:
        client = await edge.poller()
        async with edge.session.post(client.url, data=parts()) as answer:
            assert answer.status == 200
        await client.say('422["anything"]')
        assert (await client.poll()).startswith("431[")


async def test_after_its_end_a_session_is_not_begun_again() -> None:
    async with an_edge() as edge:
        manager = edge.server.manager
        client = await edge.poller(join=False)
        await client.say("1", "40{}")
        socket = await edge.session.ws_connect(edge.url + "?EIO=4&transport=websocket")
        await socket.send_str("1")
        await socket.send_str("40{}")
        await is_closed(socket)
        await edge.is_empty()
        assert (edge.connects, manager.rooms, manager.pending_connect) == (0, {}, {})


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


async def test_nonsense_after_an_upgrade_ends_the_session_at_once() -> None:
    async with an_edge() as edge:
        client = await edge.poller()
        socket = await client.upgraded()
        await socket.send_str("z")
        await is_closed(socket)
        await edge.is_empty()
        assert len(edge.ends) == 1


async def test_who_polls_no_answers_is_closed() -> None:
    async with an_edge(max_queued_packets=10, events_burst_per_client=10**6) as edge:
        client = await edge.poller()
        while await client.say(*['421["anything"]'] * 5) == 200:
            pass
        await edge.is_empty()
        assert len(edge.ends) == 1


@pytest.mark.parametrize("kind", ["ends of polls", "pings"])
async def test_whatever_an_edge_queues_for_a_client_is_bounded(kind: str) -> None:
    async with an_edge(max_queued_packets=10, handshake_within_s=60.0) as edge:
        client = await edge.poller(join=kind != "ends of polls")
        (session,) = edge.server.eio.sockets.values()
        before = metrics.SLOW_CLIENTS._value.get()
        for _ in range(11):
            assert not session.closed
            if kind == "ends of polls":
                broken = await client.upgrade()
                await broken.send_str("2probe")
                await broken.send_str("no upgrade")
                await is_closed(broken)
            else:
                await edge.server.eio._ping(session, now=0.0)
        assert session.closed
        assert metrics.SLOW_CLIENTS._value.get() == before + 1


@pytest.mark.parametrize("goes", ["41", "41/,"])
async def test_a_connection_without_a_client_ends_in_time(goes: str) -> None:
    async with an_edge() as edge:
        client = await edge.poller()
        edge.server.arrivals._within_s = SOON_S
        await client.say(goes)
        await edge.is_empty()


async def test_a_goodbye_before_the_handshake_buys_no_more_time() -> None:
    async with an_edge(events_burst_per_client=10**6, handshake_within_s=SOON_S) as edge:
        client = await edge.poller(join=False)
        while await client.say("41") == 200:
            pass
        await edge.is_empty()


@pytest.mark.parametrize("upgraded", [False, True])
@pytest.mark.parametrize("kind", ["packets", "pings"])
async def test_frames_that_are_no_events_are_counted_too(kind: str, upgraded: bool) -> None:
    hits = metrics.LIMIT_HITS.labels(limit="frames")._value
    before = hits.get()
    async with an_edge(events_per_s_per_client=0.001, events_burst_per_client=20) as edge:
        socket = await ((await edge.poller()).upgraded() if upgraded else edge.websocket())
        for _ in range(60):
            await (socket.ping() if kind == "pings" else socket.send_str("6"))
        await is_closed(socket)
        await edge.is_empty()
    assert hits.get() > before


async def test_who_leaves_too_many_bytes_in_its_queue_is_slow_and_who_takes_them_is_not() -> None:
    socket = EngineSocket()
    client = Client("sid", Identity("up202000001", 0.0), socket, max_bytes=100, max_packets=1_000)
    for _ in range(5):
        client.send(text_frame(b"4" + b"x" * 70))
        assert not client.slow
        socket.queue.get_nowait().encode()
    client.send(text_frame(b"4" + b"x" * 70))
    client.send(text_frame(b"4" + b"x" * 70))
    assert client.slow


async def test_a_goodbye_costs_the_same_however_many_are_here() -> None:
    """The library looks through all that stands here."""
    async with an_edge() as edge:
        sockets = [await edge.websocket() for _ in range(5)]
        assert len(edge.server.manager.rooms["/"]) == 1
        for socket in sockets:
            await socket.close()
        await edge.is_empty()
        assert len(edge.ends) == 5


def test_a_refusal_is_no_echo() -> None:
    assert len(Refused(INVALID_PAYLOAD, "x" * 100_000).body("id").message) == MAX_DETAIL_CHARS


async def test_a_ping_does_not_wait_behind_what_a_client_has_yet_to_take() -> None:
    async with an_edge() as edge:
        client = await edge.poller()
        await client.say(*(f'42{n}["any"]' for n in range(40)))
        (session,) = edge.server.eio.sockets.values()
        await eventually("all is answered", lambda: session.queue.qsize() == 40)
        await edge.server.eio._ping(session, now=0.0)
        assert (await client.poll()).startswith("2\x1e430[")


async def test_engines_packets_are_not_parsed_where_they_are_long() -> None:
    async with an_edge():
        long = packet.Packet(encoded_packet="4" + "[]" * engine.MOST_OF_JSON)
        opened = packet.Packet(encoded_packet='0{"sid":"AAAAAAAAAAAAAAAAAAAA","upgrades":["websocket"]}')
    assert isinstance(long.data, str)
    assert opened.data["upgrades"] == ["websocket"]


@pytest.mark.parametrize(
    ("kib", "codes"), [(100, ["answered", "rate_limited"]), (129, ["too_large", "too_large"])]
)
async def test_a_long_event_counts_once_more_for_each_kib_unless_nobody_parses_it(
    kib: int, codes: list[str]
) -> None:
    async with an_edge(events_per_s_per_client=0.001, events_burst_per_client=130) as edge:
        socket = await edge.websocket()
        answers = []
        for _ in codes:
            await socket.send_str('421["any","' + "x" * 1_024 * kib + '"]')
            answers.append(await socket.receive_str())
    assert [code in answer for code, answer in zip(codes, answers, strict=True)] == [True, True]


@pytest.mark.parametrize("event", ["4" + "x" * 200_000, "452-x", '42["connect"]', "4{", "40{"])
async def test_what_is_refused_is_let_go_at_once(event: str) -> None:
    """The collector comes by too rarely for what refers to itself: MAX_FRAME_BYTES of each one stayed."""
    async with an_edge(handshake_within_s=60.0) as edge:
        client = await edge.poller()
        gc.collect()
        before = ids_of(Refused)
        gc.disable()
        try:
            await client.say(event)
            assert '"code":"' in await client.poll()
            assert ids_of(Refused) <= before
        finally:
            gc.enable()


async def test_who_sends_too_many_events_is_told_how_long_the_debt_takes() -> None:
    async with an_edge(events_per_s_per_client=0.001, events_burst_per_client=4) as edge:
        socket = await edge.websocket()
        answers = []
        for _ in range(6):
            await socket.send_str('421["any"]')
            answers.append(await socket.receive_str())
    waits = [int(found[1]) for answer in answers if (found := re.search('"retry_after":([0-9]+)', answer))]
    assert [round(wait_s, -2) for wait_s in waits] == [2_000, 3_000, 4_000]


async def test_who_may_not_send_a_long_event_is_told_when_that_fits() -> None:
    async with an_edge(events_per_s_per_client=0.001, events_burst_per_client=20) as edge:
        socket = await edge.websocket()
        answers = []
        for _ in range(2):
            await socket.send_str('421["any","' + "x" * 1_024 * 16 + '"]')
            answers.append(await socket.receive_str())
    found = re.search('"retry_after":([0-9]+)', answers[-1])
    # Of 20 there are 2 (the hello counts, too), the refusal takes 2, and 17 are wanted.
    assert found is not None
    assert round(int(found[1]), -3) == 17_000


async def test_an_event_longer_than_the_burst_passes_alone() -> None:
    async with an_edge(events_per_s_per_client=1_000.0, events_burst_per_client=20) as edge:
        socket = await edge.websocket()
        for _ in range(3):
            await asyncio.sleep(0.1)
            await socket.send_str('421["any","' + "x" * 1_024 * 96 + '"]')
            assert "answered" in await socket.receive_str()


@pytest.mark.parametrize(("chars", "answer"), [(10_918, "answered"), (10_919, "too_large")])
async def test_an_event_is_as_large_as_its_bytes(chars: int, answer: str) -> None:
    async with an_edge(max_event_bytes=32_768) as edge:
        socket = await edge.websocket()
        text = '421["any","' + "€" * chars + '"]'
        assert (len(text.encode()) > 32_768) is (answer == "too_large")
        await socket.send_str(text)
        assert answer in await socket.receive_str()


@pytest.mark.parametrize("frame", ["4" + 200_000 * "x", b"x" * 200_000])
async def test_who_goes_on_sending_what_is_refused_unread_is_closed(frame: str | bytes) -> None:
    """It counts by its size, or such frames came as fast as the network brings them."""
    hits = metrics.LIMIT_HITS.labels(limit="events")._value
    before = hits.get()
    async with an_edge(events_per_s_per_client=0.001, events_burst_per_client=1_000) as edge:
        socket = await (await edge.poller()).upgraded()
        answers = 0
        while True:
            await (socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame))
            if (await socket.receive()).type is not WSMsgType.TEXT:
                break
            answers += 1
        # Of 1000 one is spent, and each counts 100 of the 1999 until the debt is as large.
        assert answers == 19
    assert hits.get() == before + 1

"""What a client can make an edge hold, repeat or compute is bounded, whatever it does with the protocol.

The socket server has nothing behind it here: `tests/integration/security` tries whole services.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from io import BytesIO
from itertools import pairwise
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from engineio import packet

from edge_server import engine
from edge_server.arrivals import PACKETS_BEFORE_LOGIN
from edge_server.clients import Client
from edge_server.frames import text_frame
from runtime import metrics
from runtime.tokens import Identity
from schemas.refusals import INVALID_PAYLOAD, MAX_DETAIL_CHARS, ErrorAnswer, Refused
from tests.counting import counting
from tests.unit.edge_server.gated_edge import SOON_S, Edge, an_edge, is_closed
from tests.unit.edge_server.transports import EngineSocket
from tests.unit.left_over import left_over
from tests.waiting import eventually, in_background

pytestmark = pytest.mark.usefixtures("looks_often")


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


@pytest.mark.parametrize("frame", ['421["any"]', "42", "4", '40{"token":'])
async def test_a_websocket_that_has_not_logged_in_is_closed_after_a_few_packets(frame: str) -> None:
    """A thousand of each stranger's were answered: 20 to 170 ms of the edge for each connection."""
    hits = counting(metrics.LIMIT_HITS.labels(limit="events"))
    async with an_edge() as edge:
        socket = await edge.websocket(join=False)
        for _ in range(PACKETS_BEFORE_LOGIN + 1):
            await socket.send_str(frame)
        await is_closed(socket)
        assert hits() == 1


async def test_the_body_of_a_poller_that_has_not_logged_in_has_few_packets() -> None:
    """2 000 empty ones are 4 KB, and took an edge 34 ms."""
    many = ["4"] * (PACKETS_BEFORE_LOGIN + 1)
    async with an_edge() as edge:
        stranger, student = await edge.poller(join=False), await edge.poller()
        assert [await stranger.say(*many), await student.say(*many)] == [413, 200]
        assert await stranger.say("40{}") == 200
        assert (await stranger.poll()).startswith('40{"sid":')


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
    hits = counting(metrics.LIMIT_HITS.labels(limit=limit))
    refusals = counting(metrics.REFUSALS.labels(code="overloaded"))
    async with an_edge(connects_per_s=0.001, **settings) as edge:
        await edge.poller(join=False)
        async with edge.session.get(f"{edge.url}?EIO=4&transport=polling") as refused:
            error = ErrorAnswer.model_validate(await refused.json()).error
    assert (refused.status, error.code) == (503, "overloaded")
    assert refused.headers["X-Request-Id"] == error.request_id
    assert refused.headers["Retry-After"] == str(error.retry_after)
    assert (hits(), refusals()) == (1, 0)


async def test_who_is_no_student_does_not_keep_students_from_speaking_by_bodies_that_never_come() -> None:
    """A stranger's body is not read at all, and a newcomer's only where there is room enough."""
    async with an_edge(max_bodies=2) as edge, AsyncExitStack() as stack:
        student, newcomer = await edge.poller(), await edge.poller(join=False)
        for sid in (*["nobody"] * 5, newcomer.sid):
            _, writer = await stalled_body(edge, sid)
            stack.enter_context(closing(writer))
        refusals = counting(metrics.REFUSALS.labels(code="overloaded"))
        late = await edge.poller(join=False)
        while await late.say("40{}") != 503:
            pass
        assert await student.say('42["hello"]') == 200
        assert refusals() == 0


async def test_a_body_that_does_not_come_in_time_is_given_up_and_leaves_its_place_to_the_next() -> None:
    hits = counting(metrics.LIMIT_HITS.labels(limit="slow bodies"))
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
    assert hits() == 1


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


async def test_requests_that_begin_no_connection_spend_nobodys_room_and_are_no_error_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After each restart somebody polls a session of the process before; proxies swallow what asks for a
    websocket."""
    transports = "polling&sid=gone", "pigeon", "websocket"
    async with an_edge(connects_per_s=0.001, connects_burst=1) as edge:
        for url in ("", "nowhere", "?EIO=3", *(f"?EIO=4&transport={one}" for one in transports)):
            async with edge.session.get(edge.url + url) as answer:
                assert answer.status == (404 if url == "nowhere" else 400)
        await edge.poller()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


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
    handled = counting(metrics.REFUSALS.labels(code="bad_json"))
    seen = [0.0]

    async def look() -> None:
        while True:
            seen.append(handled())
            await asyncio.sleep(0)

    async with an_edge() as edge, in_background(look()):
        if way == "a body":
            client = await edge.poller()
            assert await client.say(*["4z"] * 500) == 200
        else:
            socket = await (await edge.poller()).upgraded()
            for _ in range(500):
                await socket.send_str("4z")
        await eventually("all are handled", lambda: seen[-1] == 500)
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
    refused = counting(metrics.REFUSALS.labels(code="too_large"))
    async with an_edge() as edge:
        client = await edge.poller()
        async with edge.session.post(client.url, data=BytesIO(b"4" * 1_100_000)) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (413, "too_large")
    assert refused() == 1


@pytest.mark.parametrize("says_length", [True, False])
async def test_who_is_not_let_in_may_send_no_longer_body_than_an_event(says_length: bool) -> None:
    async def parts(size: int) -> AsyncIterator[bytes]:
        yield b"4" * size

    async with an_edge(max_event_bytes=98_304, handshake_within_s=60) as edge:
        client = await edge.poller(join=False)
        for size, status in ((98_305, 413), (98_304, 200)):
            body = b"4" * size if says_length else parts(size)
            async with edge.session.post(client.url, data=body) as answer:
                assert answer.status == status
        await client.poll()
        await client.say("40{}")
        assert (await client.poll()).startswith('40{"sid":')
        async with edge.session.post(client.url, data=b"4" * 98_305) as answer:
            assert answer.status == 200


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


@pytest.mark.parametrize("kind", ["ends of polls", "pings"])
async def test_whatever_an_edge_queues_for_a_client_is_bounded(kind: str) -> None:
    async with an_edge(max_queued_packets=10, handshake_within_s=60.0) as edge:
        client = await edge.poller(join=kind != "ends of polls")
        (session,) = edge.server.eio.sockets.values()
        slow = counting(metrics.SLOW_CLIENTS)
        for _ in range(11):
            assert not session.closed
            if kind == "ends of polls":
                broken = await client.upgrade()
                await broken.send_str("2probe")
                await broken.send_str("no upgrade")
                await is_closed(broken)
            else:
                await edge.server.eio._ping(session)
        assert session.closed
        assert slow() == 1


async def test_who_is_closed_while_being_let_in_leaves_nothing_behind() -> None:
    async with an_edge(max_queued_packets=10) as edge:
        client = await edge.poller(join=False)
        await client.say(*["4nonsense"] * 10)
        await eventually("all is refused", lambda: edge.sessions[0].queue.qsize() == 10)
        await client.say("40{}")
        await edge.is_empty()
        assert (edge.connects, len(edge.ends), edge.server.manager.rooms) == (1, 1, {})


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


async def test_engines_packets_are_not_parsed_where_they_are_long() -> None:
    async with an_edge():
        long = packet.Packet(encoded_packet="4" + "[]" * engine.MOST_OF_JSON)
        opened = packet.Packet(encoded_packet='0{"sid":"AAAAAAAAAAAAAAAAAAAA","upgrades":["websocket"]}')
    assert isinstance(long.data, str)
    assert opened.data["upgrades"] == ["websocket"]


@pytest.mark.parametrize("event", ["4" + "x" * 200_000, "452-x", '42["connect"]', "4{", "40{"])
async def test_what_is_refused_is_let_go_at_once(event: str) -> None:
    """The collector comes by too rarely for what refers to itself: MAX_FRAME_BYTES of each one stayed."""
    async with an_edge(handshake_within_s=60.0) as edge:
        client = await edge.poller()
        with left_over(Refused) as refused:
            await client.say(event)
            assert '"code":"' in await client.poll()
            assert not refused()


@pytest.mark.parametrize(
    ("length", "body"),
    [
        ("Content-Length: 200000", b"x" * 100_000),
        ("Transfer-Encoding: chunked", b"10000\r\n" + b"x" * 65_536 + b"\r\nno length\r\n"),
    ],
)
async def test_a_body_that_breaks_off_is_let_go_at_once(length: str, body: bytes) -> None:
    """A known client's held up to MAX_FRAME_BYTES for as long."""
    async with an_edge() as edge:
        client = await edge.poller()
        parts = urlsplit(client.url)
        head = f"POST {parts.path}?{parts.query} HTTP/1.1\r\nHost: edge\r\n{length}\r\n\r\n"
        with left_over(web.Request) as requests:
            _, writer = await asyncio.open_connection(parts.hostname, parts.port)
            writer.write(head.encode())
            await eventually("it is being read", lambda: bool(requests()))
            writer.write(body)
            await asyncio.sleep(SOON_S)
            writer.transport.abort()
            await eventually("it is let go", lambda: not requests())


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/nothing", 404), ("GET", "/nothing", 404), ("PUT", "", 405)]
)
async def test_what_is_sent_to_an_unknown_path_is_let_go_at_once(method: str, path: str, status: int) -> None:
    """A known client's body held up to MAX_FRAME_BYTES for as long, and cost nothing of its budget."""
    async with an_edge() as edge:
        client = await edge.poller()
        url = client.url.replace("/socket.io/", path or "/socket.io/")
        with left_over(web.Request) as requests:
            # A connection that stays open keeps its last request: this one ends with its answer.
            ends = {"Connection": "close"}
            async with edge.session.request(method, url, data=b"x" * 100_000, headers=ends) as answer:
                assert answer.status == status
                assert (await answer.text()).startswith(f"{status}: ")
                assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
                assert ("Allow" in answer.headers) == (status == 405)
            await eventually("it is let go", lambda: not requests())
        assert await client.say('42["hello"]') == 200


async def test_who_leaves_while_events_wait_for_its_poll_is_let_go_at_once() -> None:
    with left_over(Client) as clients:
        client = Client("sid", Identity("up202000001", 0.0), EngineSocket(), max_bytes=1_000, max_packets=10)
        client.send(text_frame(b"42[]"))
        client.end()
        del client
        assert not clients()

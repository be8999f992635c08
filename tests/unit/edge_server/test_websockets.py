"""A websocket that was never polled: it begins, hears pings, and however it ends, its end is told once."""

import asyncio
import gc
import logging
import weakref
from collections.abc import AsyncIterator
from contextlib import suppress
from struct import pack
from typing import Any, cast
from unittest.mock import patch

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

from edge_server import direct_websocket
from edge_server.polls import Handler
from edge_server.settings import EdgeSettings
from edge_server.socket_server import ChatSocketServer
from runtime import metrics
from runtime.service import Service, running
from tests.waiting import eventually

HANDSHAKE = (
    "GET /socket.io/?EIO=4&transport=websocket&slowly HTTP/1.1\r\nHost: edge\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Edge:
    """A socket server with nothing behind it, and clients that speak the protocol by hand."""

    def __init__(self, session: ClientSession, **settings: Any) -> None:
        self.server = ChatSocketServer(EdgeSettings(**settings))
        self.ends: list[str] = []
        self._session = session
        self.server.on("connect", self._on_connect)
        self.server.on("disconnect", self._on_disconnect)

    async def _on_connect(self, _sid: str, _environ: object, _auth: object = None) -> None:
        """Let everybody in."""

    async def _on_disconnect(self, _sid: str, reason: str) -> None:
        self.ends.append(reason)

    async def start(self, service: Service) -> None:
        self.resources = service.resources
        app = web.Application(middlewares=[self._wait_for_going])
        self.server.attach(app, "socket.io")
        service.resources.push_async_callback(self.server.shutdown)
        service.supervise("ping clients", self.server.eio.ping_all)
        self._port = await service.serve(app, "127.0.0.1", 0)

    @web.middleware
    async def _wait_for_going(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Be so slow, where it is asked for, that the client has gone before it is answered."""
        if "slowly" in request.query_string:
            await eventually("the client has gone", lambda: request.transport is None)
        return await handler(request)

    async def go_at_once(self) -> None:
        """Ask for a websocket, and go without waiting for the answer."""
        _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(HANDSHAKE.encode())
        await writer.drain()
        writer.close()

    async def open(self, *, join: bool = True) -> ClientWebSocketResponse:
        """Return a websocket whose client has said hello, and, to ``join``, has been let in."""
        url = f"http://127.0.0.1:{self._port}/socket.io/?EIO=4&transport=websocket"
        socket = await self._session.ws_connect(url)
        assert (await socket.receive_str()).startswith('0{"sid":')
        if join:
            await socket.send_str("40{}")
            assert (await socket.receive_str()).startswith('40{"sid":')
        return socket

    async def is_empty(self) -> None:
        await eventually("no session is left", lambda: all(s.closed for s in self.sessions))

    @property
    def sessions(self) -> list[Any]:
        return list(self.server.eio.sockets.values())


@pytest.fixture
async def edge(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Edge]:
    monkeypatch.setenv("LOG_DIR", "")
    async with ClientSession() as session:
        made = Edge(session, ops_port=0, **getattr(request, "param", {}))
        async with running(Service("edge_server", EdgeSettings(ops_port=0)), made.start):
            yield made


async def test_a_client_that_goes_is_told_of_once(edge: Edge) -> None:
    socket = await edge.open()
    await socket.close()
    await edge.is_empty()
    assert edge.ends == ["transport close"]


@pytest.mark.parametrize("edge", [{"ping_interval_s": 1, "ping_timeout_s": 1}], indirect=True)
async def test_nothing_of_a_connection_waits_for_the_garbage_collector(edge: Edge) -> None:
    gc.disable()
    try:
        socket = await edge.open()
        kept = weakref.ref(edge.sessions[0])
        await socket.close()
        await edge.is_empty()
        # Engine.io's watch holds the session that it looked at last, and the pings hold one that is due.
        later = await edge.open()
        await eventually("it is gone", lambda: kept() is None)
        assert not later.closed
    finally:
        gc.enable()


async def test_a_connection_that_breaks_is_told_of_once(edge: Edge) -> None:
    socket = await edge.open()
    cast(Any, socket)._response.connection.transport.abort()
    await edge.is_empty()
    assert edge.ends == ["transport close"]


async def test_a_client_that_has_gone_before_it_is_answered_leaves_its_place_and_is_no_error(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    with patch.object(edge.server.arrivals, "begin", wraps=edge.server.arrivals.begin) as begin:
        await edge.go_at_once()
        await eventually("it has arrived", lambda: begin.called)
        await eventually("its place is free", lambda: not edge.server.arrivals._since and not edge.sessions)
    assert [record for record in caplog.records if record.levelno > logging.WARNING] == []


async def test_a_client_that_says_goodbye_is_told_of_and_its_websocket_ends(edge: Edge) -> None:
    socket = await edge.open()
    await socket.send_str("1")
    await edge.is_empty()
    assert edge.ends == ["client disconnect"]


async def test_a_session_that_the_server_ends_hears_it_and_is_closed(edge: Edge) -> None:
    socket = await edge.open()
    (session,) = edge.sessions
    await edge.server.eio.disconnect(session.sid)
    assert await socket.receive_str() == "1"
    assert (await socket.receive()).type is WSMsgType.CLOSE
    await edge.is_empty()
    assert edge.ends == ["server disconnect"]


@pytest.mark.parametrize("data", ["z", "", "7"])
async def test_what_is_no_packet_ends_the_connection_and_harms_nobody_else(edge: Edge, data: str) -> None:
    neighbour = await edge.open()
    socket = await edge.open()
    await socket.send_str(data)
    assert (await socket.receive()).type is WSMsgType.CLOSE
    await neighbour.send_str("42nonsense")
    assert (await neighbour.receive_str()).startswith('42["refused",')


async def test_websocket_pings_are_answered(edge: Edge) -> None:
    socket = await edge.open()
    await socket.ping(b"there?")
    await socket.send_str("42nonsense")
    assert (await socket.receive_str()).startswith('42["refused",')


@pytest.mark.parametrize(
    "edge", [{"ping_interval_s": 0.2, "ping_timeout_s": 0.5}], indirect=True, ids=["quick pings"]
)
@pytest.mark.parametrize("join", [True, False])
async def test_a_client_that_answers_no_ping_is_closed(edge: Edge, join: bool) -> None:
    socket = await edge.open(join=False)
    if join:
        await socket.send_str("40{}")
    heard = []
    while (message := await socket.receive()).type is WSMsgType.TEXT:
        heard.append(message.data)
    assert "2" in heard
    await edge.is_empty()
    assert len(edge.ends) == int(join)


class Wire:
    """A client that writes bytes by hand, as no library would."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))

    async def until(self, wanted: bytes) -> bytes:
        async with asyncio.timeout(60):
            return await self.reader.readuntil(wanted)

    async def rest(self) -> bytes:
        """Return what still comes until the server ends the connection."""
        async with asyncio.timeout(60):
            return await self.reader.read()


def masked(payload: bytes, first: int = 0x81) -> bytes:
    """Return a client's frame; a mask of zeros changes nothing."""
    size = len(payload)
    length = pack("!B", 0x80 | size) if size < 126 else pack("!BH", 0xFE, size)
    return bytes([first]) + length + b"\0\0\0\0" + payload


@pytest.fixture
async def wire(edge: Edge) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", edge._port)
    request = b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    # What an eager client sends with its request is not lost.
    key = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    writer.write(request + upgrade + key + masked(b"40{}"))
    made = Wire(reader, writer)
    assert b"101 Switching Protocols" in await made.until(b"\r\n\r\n")
    await made.until(b"40{")
    yield made
    writer.close()


async def test_a_client_that_said_goodbye_and_stays_is_closed(edge: Edge, wire: Wire) -> None:
    wire.send(masked(b"1"))
    assert (await wire.until(b"\x88\x02\x03\xe8")).endswith(b"\x88\x02\x03\xe8")
    wire.send(masked(b"\x03\xe8", 0x88))
    assert await wire.rest() == b""
    await edge.is_empty()
    assert edge.ends == ["client disconnect"]


async def test_a_close_is_answered_by_its_own_code(edge: Edge, wire: Wire) -> None:
    wire.send(masked(b"\x03\xe9", 0x88))
    assert (await wire.rest()).endswith(b"\x88\x02\x03\xe9")
    await edge.is_empty()
    assert edge.ends == ["transport close"]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (masked(b"\xff"), 1007),
        (masked(b"x", 0x83), 1002),
        (masked(b"x", 0x80), 1002),
        (b"\x81\xff" + (1 << 40).to_bytes(8, "big") + b"\0\0\0\0", 1009),
    ],
    ids=["not utf-8", "no such opcode", "nothing to continue", "too large"],
)
async def test_what_is_no_frame_ends_the_connection_and_says_why(
    edge: Edge, wire: Wire, sent: bytes, code: int
) -> None:
    hits = metrics.LIMIT_HITS.labels(limit="long frames")._value
    before = hits.get()
    wire.send(sent)
    await wire.until(pack("!BBH", 0x88, 2, code))
    assert hits.get() - before == (code == 1009)
    wire.writer.close()
    await edge.is_empty()
    assert edge.ends == ["transport close"]


async def test_a_message_in_pieces_is_one_message(edge: Edge, wire: Wire) -> None:
    wire.send(masked(b"42non", 0x01), masked(b"there?", 0x89), masked(b"sense", 0x80))
    said = await wire.until(b'42["refused",')
    assert b"\x8a\x06there?" in said


@pytest.mark.parametrize("edge", [{"events_burst_per_client": 10_000}], indirect=True, ids=["patient"])
async def test_many_packets_at_once_are_all_worked_off_in_their_order(
    edge: Edge, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct_websocket, "READ_AHEAD_CHARS", 1_000)
    heard: list[int] = []

    async def slowly(_sid: str, data: str) -> None:
        await asyncio.sleep(0)
        heard.append(int(data))

    edge.server.eio.on("message", slowly)
    for start in range(0, 3_000, 100):
        wire.send(*(masked(b"4%d" % n) for n in range(start, start + 100)))
        await wire.writer.drain()
    await eventually("all have been heard", lambda: len(heard) == 3_000)
    assert heard == list(range(3_000))


async def test_a_connection_that_nobody_has_ended_ends_with_the_edge(edge: Edge, wire: Wire) -> None:
    await edge.resources.aclose()
    with suppress(ConnectionResetError):
        await wire.rest()
    assert edge.sessions == []
    assert edge.ends == ["server disconnect"]

"""A websocket that was never polled: it begins, hears pings, and however it ends, its end is told once."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, cast
from unittest.mock import patch

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web
from engineio import packet

from edge_server.arrivals import Handler
from edge_server.settings import EdgeSettings
from edge_server.socket_server import ChatSocketServer
from edge_server.websockets import WriteThrough
from runtime.service import Service, running
from tests.integration.backing import eventually
from tests.unit.edge_server.test_fan_out import Transport

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
        app = web.Application(middlewares=[self._wait_for_going])
        self.server.attach(app, "socket.io")
        service.resources.push_async_callback(self.server.shutdown)
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
        await eventually("its place is free", lambda: not edge.server.arrivals and not edge.sessions)
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
    "edge", [{"ping_interval_s": 0.02, "ping_timeout_s": 0.05}], indirect=True, ids=["quick pings"]
)
@pytest.mark.parametrize("join", [True, False])
async def test_a_client_that_answers_no_ping_is_closed(edge: Edge, join: bool) -> None:
    socket = await edge.open(join=join)
    heard = []
    while (message := await socket.receive()).type is WSMsgType.TEXT:
        heard.append(message.data)
    assert heard[0] == "2"
    await edge.is_empty()
    assert len(edge.ends) == int(join)


def test_who_does_not_read_what_it_asked_for_is_cut_off() -> None:
    transport = Transport()
    ends: list[bool] = []
    queue = WriteThrough(cast(Any, transport), lambda: ends.append(True), 100)
    queue.put_nowait(packet.Packet(packet.MESSAGE, "3"))
    assert b"ABORTED" not in transport.wire
    transport.unread = 101
    queue.put_nowait(packet.Packet(packet.MESSAGE, "3"))
    assert transport.wire[-1] == b"ABORTED"
    assert ends == []


async def test_the_end_is_written_after_everything_before_it() -> None:
    transport = Transport()
    ends: list[int] = []
    queue = WriteThrough(cast(Any, transport), lambda: ends.append(len(transport.wire)), 100)
    await queue.put(packet.Packet(packet.MESSAGE, "41"))
    await queue.put(packet.Packet(packet.CLOSE))
    await queue.put(None)
    await asyncio.wait_for(queue.join(), 60)
    assert transport.wire == [b"\x81\x03441", b"\x81\x011"]
    assert ends == [2, 2]

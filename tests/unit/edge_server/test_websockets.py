"""A websocket that was never polled: it begins, hears pings, and however it ends, its end is told once."""

import asyncio
import gc
import logging
import weakref
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, cast
from unittest.mock import patch

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError, web
from aiohttp.typedefs import Handler

from tests.unit.edge_server.client_frames import frame
from tests.unit.edge_server.gated_edge import Edge, an_edge
from tests.waiting import eventually

HANDSHAKE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: edge\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
CLOSED = b"\x88\x02"
"""The beginning of a server's last frame, before its code."""


@pytest.fixture
async def edge(request: pytest.FixtureRequest) -> AsyncIterator[Edge]:
    async with an_edge(**getattr(request, "param", {})) as made:
        yield made


async def test_a_client_that_goes_is_told_of_once(edge: Edge) -> None:
    socket = await edge.websocket()
    await socket.close()
    await edge.is_empty()
    assert edge.ends == ["transport close"]


@pytest.mark.parametrize("edge", [{"ping_interval_s": 1, "ping_timeout_s": 1}], indirect=True)
async def test_nothing_of_a_connection_waits_for_the_garbage_collector(edge: Edge) -> None:
    gc.disable()
    try:
        socket = await edge.websocket()
        kept = weakref.ref(edge.sessions[0])
        await socket.close()
        await edge.is_empty()
        # Engine.io's watch holds the session that it looked at last, and the pings hold one that is due.
        later = await edge.websocket()
        await eventually("it is gone", lambda: kept() is None)
        assert not later.closed
    finally:
        gc.enable()


async def test_a_connection_that_breaks_is_told_of_once(edge: Edge) -> None:
    socket = await edge.websocket()
    cast(Any, socket)._response.connection.transport.abort()
    await edge.is_empty()
    assert edge.ends == ["transport close"]


@web.middleware
async def wait_for_going(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Be so slow that the client has gone before it is answered."""
    await eventually("the client has gone", lambda: request.transport is None)
    return await handler(request)


async def test_a_client_that_has_gone_before_it_is_answered_leaves_its_place_and_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with an_edge(wait_for_going) as edge:
        arrivals = edge.server.arrivals
        with patch.object(arrivals, "begin", wraps=arrivals.begin) as begin:
            _, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(HANDSHAKE)
            await writer.drain()
            writer.close()
            await eventually("it has arrived", lambda: begin.called)
            await eventually("its place is free", lambda: not arrivals._since and not edge.sessions)
    assert [record for record in caplog.records if record.levelno > logging.WARNING] == []


async def test_a_session_that_the_server_ends_hears_it_and_is_closed(edge: Edge) -> None:
    socket = await edge.websocket()
    (session,) = edge.sessions
    await edge.server.eio.disconnect(session.sid)
    assert await socket.receive_str() == "1"
    assert (await socket.receive()).type is WSMsgType.CLOSE
    await edge.is_empty()
    assert edge.ends == ["server disconnect"]


@pytest.mark.parametrize("data", ["z", "", "7"])
async def test_what_is_no_packet_ends_the_connection_and_harms_nobody_else(edge: Edge, data: str) -> None:
    neighbour = await edge.websocket()
    socket = await edge.websocket()
    await socket.send_str(data)
    assert (await socket.receive()).type is WSMsgType.CLOSE
    await neighbour.send_str("42nonsense")
    assert (await neighbour.receive_str()).startswith('42["refused",')


async def test_websocket_pings_are_answered(edge: Edge) -> None:
    socket = await edge.websocket()
    await socket.ping(b"there?")
    await socket.send_str("42nonsense")
    assert (await socket.receive_str()).startswith('42["refused",')


@pytest.mark.parametrize(
    "edge", [{"ping_interval_s": 0.2, "ping_timeout_s": 0.5}], indirect=True, ids=["quick pings"]
)
@pytest.mark.parametrize("join", [True, False])
async def test_a_client_that_answers_no_ping_is_closed(edge: Edge, join: bool) -> None:
    socket = await edge.websocket(join=False)
    if join:
        await socket.send_str("40{}")
    heard = []
    while (message := await socket.receive()).type is WSMsgType.TEXT:
        heard.append(message.data)
    assert "2" in heard
    await edge.is_empty()
    assert len(edge.ends) == int(join)


Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]
"""Of a client that writes bytes by hand, as no library would."""


@pytest.fixture
async def wire(edge: Edge) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    # What an eager client sends with its request is not lost.
    writer.write(HANDSHAKE + frame(1, b"40{}"))
    assert b"101 Switching Protocols" in await reader.readuntil(b"\r\n\r\n")
    await reader.readuntil(b"40{")
    yield reader, writer
    writer.close()


async def test_a_client_that_said_goodbye_and_stays_is_closed(edge: Edge, wire: Wire) -> None:
    reader, writer = wire
    writer.write(frame(1, b"1"))
    await reader.readuntil(CLOSED + b"\x03\xe8")
    writer.write(frame(8, b"\x03\xe8"))
    assert await reader.read() == b""
    await edge.is_empty()
    assert edge.ends == ["client disconnect"]


async def test_a_close_is_answered_by_its_own_code(edge: Edge, wire: Wire) -> None:
    reader, writer = wire
    writer.write(frame(8, b"\x03\xe9"))
    assert (await reader.read()).endswith(CLOSED + b"\x03\xe9")
    await edge.is_empty()
    assert edge.ends == ["transport close"]


async def test_what_is_no_frame_ends_the_connection_and_says_why(edge: Edge, wire: Wire) -> None:
    reader, writer = wire
    writer.write(frame(1, b"\xff"))
    await reader.readuntil(CLOSED + (1007).to_bytes(2, "big"))
    writer.close()
    await edge.is_empty()
    assert edge.ends == ["transport close"]


async def test_a_connection_that_nobody_has_ended_ends_with_the_edge(edge: Edge, wire: Wire) -> None:
    await edge.resources.aclose()
    with suppress(ConnectionResetError):
        await wire[0].read()
    assert edge.sessions == []
    assert edge.ends == ["server disconnect"]


@pytest.mark.parametrize("edge_url", ["https://edge-1.chat.example/", "https://edge-1.chat.example:443"])
async def test_an_app_may_send_the_edges_own_origin_where_origins_are_listed(edge_url: str) -> None:
    """React Native and Swift send that of the URL to which they connect; they have no page."""
    here = {"allowed_origins": "https://chat.example", "edge_url": edge_url}
    async with an_edge(**here) as edge:
        url = edge.url + "?EIO=4&transport=websocket"
        for origin in ("https://edge-1.chat.example", "wss://edge-1.chat.example", "https://chat.example"):
            async with edge.session.ws_connect(url, origin=origin) as socket:
                assert (await socket.receive_str()).startswith('0{"sid":')
        for origin in (
            "https://edge-2.chat.example",
            "wss://chat.example",
            "https://edge-1.chat.example.evil",
        ):
            with pytest.raises(WSServerHandshakeError, match="400"):
                await edge.session.ws_connect(url, origin=origin)

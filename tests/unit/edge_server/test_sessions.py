"""Clients are closed and counted once, however often they are told to go, and a stop waits for their ends."""

from typing import Any, cast
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest

from edge_server.rooms import Rooms
from edge_server.sessions import Sessions
from edge_server.settings import EdgeSettings
from runtime import metrics
from runtime.tokens import Identity
from tests.counting import counting
from tests.unit.edge_server.transports import EngineSocket, client
from tests.waiting import passes


async def test_a_client_is_closed_and_counted_once_and_a_stop_waits_until_all_are_closed() -> None:
    server, presence, rooms = AsyncMock(), Mock(), Rooms()
    nothing = cast(Any, None)
    sessions = Sessions(EdgeSettings(), server, rooms, nothing, nothing, presence, nothing)
    slow, other = client(socket := EngineSocket()), client(EngineSocket())
    socket.use_websocket()
    slow.go_direct()
    other.sid = "other"
    for one in (slow, other):
        rooms.add(one)
    slows, stops = (counting(metrics.DISCONNECTS.labels(reason=why)) for why in ("slow_client", "stopping"))
    sessions.close_slow(slow)
    assert socket.transport.is_closing()
    sessions.close_slow(slow)
    presence.left.assert_not_called()
    await sessions.close_all("stopping")
    assert (slows(), stops()) == (1, 1)
    assert [call.args for call in server.disconnect.await_args_list] == [("sid",), ("other",)]
    presence.left.assert_called_once_with(other)
    assert not rooms.clients


@pytest.mark.parametrize("goes", [False, True])
async def test_who_goes_while_being_let_in_is_not_welcomed(goes: bool) -> None:
    """Its socket has been let go: to make it direct fails."""
    server, handshake, joining, rooms = MagicMock(), Mock(), Mock(), Rooms()
    server.eio.sockets.__getitem__.return_value = EngineSocket()
    handshake.authenticate.return_value = Identity("up202000001", 0.0), {}
    welcomed: list[str] = []
    sessions = Sessions(EdgeSettings(), server, rooms, handshake, joining, Mock(), Mock())
    sessions.on_welcome = lambda one: welcomed.append(one.sid)
    await sessions._connect("sid", {}, {})
    if goes:
        await sessions._disconnect("sid", "transport close")
    await passes()
    assert (len(welcomed), joining.join_all.call_count) == ((0, 0) if goes else (1, 1))

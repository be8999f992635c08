"""Clients are closed and counted once, however often they are told to go, and a stop waits for their ends."""

from typing import Any, cast
from unittest.mock import AsyncMock, Mock

from edge_server.rooms import Rooms
from edge_server.sessions import Sessions
from edge_server.settings import EdgeSettings
from runtime import metrics
from tests.counting import counting
from tests.unit.edge_server.transports import EngineSocket, client


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

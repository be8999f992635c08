"""What a user is sent again is bounded: who asks for the same again and again is sent to history."""

from typing import Any

from edge_server.clients import Client
from edge_server.delivery import Delivery
from edge_server.fan_out import FanOut
from edge_server.handshake import Joining
from edge_server.recent_log import RecentLog
from edge_server.rooms import Rooms
from edge_server.settings import EdgeSettings
from runtime.kafka import partition_of
from runtime.memberships import Memberships
from runtime.tokens import Identity
from tests.unit.edge_server.entries import entry
from tests.unit.edge_server.test_fan_out import EngineSocket


class Lobby:
    """Lets one member into a room in which ten messages stand."""

    def __init__(self, **settings: Any) -> None:
        made = EdgeSettings(**settings)
        here, window = Rooms(), RecentLog(max_bytes=10**9, max_records=10**9)
        memberships, fan_out = Memberships(), FanOut(here)
        delivery = Delivery(here, window, fan_out, starts=lambda _: 0, sure_from=lambda _: 0)
        self.joining = Joining(made, here, window, delivery, fan_out, memberships)
        self.client = Client(
            "sid", Identity("up202000001", 0.0), EngineSocket(), max_bytes=10**9, max_packets=10**9
        )
        memberships.set_member("g", self.client.up, True)
        partition = partition_of(b"g", made.kafka_partitions)
        window.begin(partition, 0)
        for seq in range(10):
            assert window.add(entry(seq, message="x" * 100, partition=partition))


async def test_who_asks_for_the_same_again_and_again_is_sent_to_history() -> None:
    lobby = Lobby(resumed_bytes_per_s_per_user=0.001, resumed_bytes_burst_per_user=8_000)
    recovered = [lobby.joining.join(lobby.client, "g", -1).recovered for _ in range(10)]
    assert recovered == [True] * 3 + [False] * 7
    assert lobby.joining.join(lobby.client, "g", None).recovered

"""What a user is sent again comes first, and is bounded: who asks again and again is sent to history."""

from typing import Any, cast

from aiokafka import ConsumerRecord

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
from schemas.log_records import MessageSent
from tests.unit.edge_server.entries import entry
from tests.unit.edge_server.producers import passes
from tests.unit.edge_server.test_fan_out import EngineSocket, Transport, seqs_on


class Lobby:
    """Lets one member into a room in which ten messages stand."""

    def __init__(self, *, head: int = -1, **settings: Any) -> None:
        made = EdgeSettings(**settings)
        self.here, window = Rooms(), RecentLog(max_bytes=10**9, max_records=10**9)
        memberships, self.fan_out = Memberships(), FanOut(self.here)
        self.delivery = Delivery(
            self.here, window, self.fan_out, starts=lambda _: head + 1, sure_from=lambda _: 0
        )
        self.joining = Joining(made, self.here, window, self.delivery, self.fan_out, memberships)
        self.client = Client(
            "sid", Identity("up202000001", 0.0), EngineSocket(), max_bytes=10**9, max_packets=10**9
        )
        memberships.set_member("g", self.client.up, True)
        self.partition = partition_of(b"g", made.kafka_partitions)
        window.begin(self.partition, 0)
        for seq in range(10):
            assert window.add(entry(seq, message="x" * 100, partition=self.partition))


def consumed(seq: int, partition: int) -> ConsumerRecord:
    sent = MessageSent(id=f"m{seq}", group="g", up="up202000001", message="hello", sent_at=1)
    headers = [("ce_type", MessageSent.ce_type.encode()), ("ce_id", b"up202000001/m%d" % seq)]
    return ConsumerRecord("chat.messages", partition, seq, 1, 1, b"g", sent.value(), None, 1, 1, headers)


async def test_nothing_newer_comes_before_what_was_missed() -> None:
    """A look at the outbox that was planned before may still come, and find what is newer."""
    lobby = Lobby()
    lobby.client.transport = cast(Any, transport := Transport())
    lobby.fan_out.put(entry(0, group="another"))
    lobby.joining.join(lobby.client, "g", -1)
    assert transport.wire == []
    lobby.fan_out.put(entry(10))
    await passes()
    assert seqs_on(b"".join(transport.wire)) == list(range(11))


async def test_who_has_seen_what_had_no_turn_here_yet_gets_only_what_is_newer() -> None:
    lobby = Lobby()
    joined = lobby.joining.join(lobby.client, "g", 0)
    assert (joined.head, lobby.here.late("g")) == (-1, {lobby.client: 0})


async def test_what_others_have_written_comes_once_and_in_the_order_of_the_log() -> None:
    lobby = Lobby()
    lobby.client.transport = cast(Any, transport := Transport())
    lobby.joining.join(lobby.client, "g", None)
    for seq in (10, 11, 11, 10, 12):
        lobby.delivery.take(lobby.partition, [consumed(seq, lobby.partition)])
    await passes()
    assert seqs_on(b"".join(transport.wire)) == [10, 11, 12]


async def test_who_asks_for_the_same_again_and_again_is_sent_to_history() -> None:
    lobby = Lobby(resumed_bytes_per_s_per_user=0.001, resumed_bytes_burst_per_user=8_000)
    recovered = [lobby.joining.join(lobby.client, "g", -1).recovered for _ in range(10)]
    assert recovered == [True] * 3 + [False] * 7
    assert lobby.joining.join(lobby.client, "g", None).recovered


async def test_who_is_closed_for_being_slow_while_it_joins_is_in_no_room() -> None:
    lobby = Lobby()
    client = lobby.client
    client.transport = cast(Any, transport := Transport())
    transport.unread = 10**10
    lobby.here.add(client)
    lobby.here.join(client, "g")
    closed: list[Client] = []

    def close(slow: Client) -> None:
        slow.gone = True
        lobby.here.remove(slow)
        closed.append(slow)

    lobby.fan_out.on_slow(close)
    lobby.fan_out.put(entry(10))
    lobby.joining.join(client, "g", None)
    lobby.joining.tell_hole(client, "g")
    assert not lobby.here.is_watched("g")
    lobby.fan_out.put(entry(11))
    lobby.fan_out.flush()
    assert closed == [client]


async def test_a_hole_that_was_found_by_looking_costs_as_much_as_what_was_looked_through() -> None:
    lobby = Lobby(head=9, resumed_bytes_per_s_per_user=0.001, resumed_bytes_burst_per_user=2_048)
    recovered = [lobby.joining.join(lobby.client, "g", since).recovered for since in (8, -1, 8)]
    assert recovered == [True, False, False]

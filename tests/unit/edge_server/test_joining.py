"""What a user is sent again comes first, and is bounded: who asks again and again is sent to history."""

import json
from collections.abc import Mapping
from typing import Any, cast

import orjson
import pytest
from aiokafka import ConsumerRecord
from engineio import packet
from hypothesis import given
from hypothesis import strategies as st

from edge_server.clients import Client
from edge_server.delivery import Delivery
from edge_server.fan_out import FanOut
from edge_server.frames import event_frame
from edge_server.joining import CLOCKS_DIFFER_MS, MAX_ROOMS_PER_JOINED, ROOM_BYTES, Joining
from edge_server.recent_log import RecentLog
from edge_server.rooms import Rooms
from edge_server.settings import EdgeSettings
from edge_server.write_through import WriteThrough
from runtime import metrics
from runtime.kafka import partition_of
from runtime.memberships import Memberships
from runtime.tokens import Identity
from schemas.client_events import JOINED, Joined, RoomJoined
from schemas.log_records import MAX_TEXT_BYTES, MessageSent
from tests.counting import counting
from tests.frame_reader import FrameReader
from tests.unit.edge_server.entries import entry
from tests.unit.edge_server.transports import EngineSocket, Transport, seqs_on
from tests.waiting import passes


class Lobby:
    """Lets one member into a room in which ten messages stand."""

    def __init__(self, *, head: int = -1, **settings: Any) -> None:
        made = EdgeSettings(**settings)
        self.here, window = Rooms(), RecentLog(max_bytes=10**9, max_records=10**9)
        memberships, self.fan_out = Memberships(), FanOut(self.here)
        self.settings, self.window, self.memberships = made, window, memberships
        self.delivery = Delivery(self.here, window, self.fan_out, beginning=lambda _: (head + 1, 0))
        self.joining = Joining(made, self.here, window, self.delivery, self.fan_out, memberships)
        self.client = Client(
            "sid", Identity("up202000001", 0.0), EngineSocket(), max_bytes=10**9, max_packets=10**9
        )
        memberships.set_member("g", self.client.up, True)
        self.partition = partition_of(b"g", made.kafka_partitions)
        window.begin(self.partition, 0)
        for seq in range(10):
            added = entry(seq, message="x" * 100, partition=self.partition)
            assert window.add(added) is added


def joined_on(wire: bytes) -> list[dict[str, Any]]:
    """Return the rooms of each ``joined``."""
    parts = wire.decode(errors="replace").split('["joined",')[1:]
    return [json.JSONDecoder().raw_decode(part)[0]["rooms"] for part in parts]


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
    assert (joined.head, lobby.here.ahead("g")) == (-1, {lobby.client: 0})


async def test_what_others_have_written_comes_once_and_in_the_order_of_the_log() -> None:
    lobby = Lobby()
    lobby.client.transport = cast(Any, transport := Transport())
    lobby.joining.join(lobby.client, "g", None)
    for seq in (10, 11, 11, 10, 12):
        lobby.delivery.consumed(lobby.partition, [consumed(seq, lobby.partition)])
    await passes()
    assert seqs_on(b"".join(transport.wire)) == [10, 11, 12]


async def test_what_was_missed_comes_once_and_first_where_a_membership_is_read_before_the_welcome() -> None:
    lobby = Lobby(head=9)
    client, memberships = lobby.client, lobby.memberships
    memberships.set_member("g", client.up, False)
    client.transport = cast(Any, transport := Transport())
    lobby.here.add(client)
    memberships.set_member("g", client.up, True)
    lobby.delivery.consumed(lobby.partition, [consumed(10, lobby.partition)])
    lobby.joining.join_all(client, {"g": 5, "late": 3})
    memberships.set_member("late", client.up, True)
    lobby.delivery.consumed(lobby.partition, [consumed(11, lobby.partition)])
    await passes()
    assert seqs_on(b"".join(transport.wire)) == [6, 7, 8, 9, 10, 11]
    assert client.rooms == {"g", "late"}


async def test_who_is_removed_and_added_again_is_not_sent_again_what_it_resumed_at_its_connect() -> None:
    lobby = Lobby(head=9)
    client = lobby.client
    client.transport = cast(Any, transport := Transport())
    lobby.here.add(client)
    lobby.joining.join_all(client, {"g": 7})
    for member in (False, True):
        lobby.memberships.set_member("g", client.up, member)
    assert seqs_on(b"".join(transport.wire)) == [8, 9]


@pytest.mark.parametrize(
    ("way", "heard", "recovered"),
    [
        ("welcome", [9, 10, 11], [True]),
        ("join", [9, 10, 11], []),
        ("membership", [9, 10, 11], [True]),
        ("hole", [11], [False]),
    ],
)
async def test_what_waits_to_leave_does_not_come_twice_to_who_comes_into_the_room_meanwhile(
    way: str, heard: list[int], recovered: list[bool]
) -> None:
    lobby = Lobby(head=9)
    client, memberships = lobby.client, lobby.memberships
    client.transport = cast(Any, transport := Transport())
    lobby.here.add(client)
    another = Client("another", Identity("up202000002", 0.0), EngineSocket(), max_bytes=9_999, max_packets=9)
    lobby.here.join(another, "g")
    memberships.set_member("g", client.up, way == "welcome")
    if way in ("membership", "hole"):
        lobby.joining.join_all(client, {"g": 8})
    lobby.delivery.consumed(lobby.partition, [consumed(10, lobby.partition)])
    if way == "welcome":
        lobby.joining.join_all(client, {"g": 8})
    elif way == "join":
        assert lobby.joining.join(client, "g", 8).recovered
    elif way == "membership":
        memberships.set_member("g", client.up, True)
    else:
        lobby.joining.report_hole(client, "g")
    await passes()
    lobby.delivery.consumed(lobby.partition, [consumed(11, lobby.partition)])
    await passes()
    wire = b"".join(transport.wire)
    assert seqs_on(wire) == heard
    assert [rooms["g"]["recovered"] for rooms in joined_on(wire) if rooms] == recovered


async def test_what_is_missed_in_all_rooms_together_is_half_of_what_may_be_unread_at_most() -> None:
    longest = "x" * MAX_TEXT_BYTES
    two = 2 * len(entry(8, group="h", message=longest).frame or b"")
    lobby = Lobby(head=9, max_buffered_bytes=2 * two)
    for group in ("h", "i"):
        partition = partition_of(group.encode(), lobby.settings.kafka_partitions)
        lobby.window.begin(partition, 0)
        lobby.memberships.set_member(group, lobby.client.up, True)
        for seq in (8, 9):
            added = entry(seq, group=group, message=longest, partition=partition)
            assert lobby.window.add(added) is added
    lobby.client.transport = cast(Any, transport := Transport())
    lobby.here.add(lobby.client)
    lobby.joining.join_all(lobby.client, {"h": 7, "i": 7})
    (rooms,) = joined_on(b"".join(transport.wire))
    assert {group: how["recovered"] for group, how in rooms.items()} == {"g": True, "h": True, "i": False}


@pytest.mark.parametrize(
    ("spoke_after_ms", "heard"), [(-CLOCKS_DIFFER_MS - 1, True), (-CLOCKS_DIFFER_MS, False)]
)
async def test_who_becomes_a_member_and_cannot_have_heard_what_was_said_since_is_told_of_a_hole(
    spoke_after_ms: int, heard: bool
) -> None:
    """This edge learns of the membership after it has delivered what came later: its partition was silent."""
    lobby = Lobby(head=9)
    client, memberships = lobby.client, lobby.memberships
    memberships.set_member("g", client.up, False)
    client.transport = cast(Any, transport := Transport())
    lobby.here.add(client)
    lobby.joining.join_all(client, {})
    memberships.set_member("g", client.up, True, lobby.window.newest_at("g") - spoke_after_ms)
    await passes()
    assert [rooms["g"]["recovered"] for rooms in joined_on(b"".join(transport.wire)) if rooms] == [heard]


async def test_who_has_joined_before_the_welcome_leaves_with_the_membership_all_the_same() -> None:
    lobby = Lobby()
    lobby.here.add(lobby.client)
    lobby.joining.join(lobby.client, "g", None)
    lobby.memberships.set_member("g", lobby.client.up, False)
    lobby.joining.join_all(lobby.client, {})
    assert not lobby.here.is_watched("g")


async def test_who_asks_for_the_same_again_and_again_is_sent_to_history() -> None:
    lobby = Lobby(resumed_bytes_per_s_per_user=0.001, resumed_bytes_burst_per_user=8_000)
    whole, holes = (counting(metrics.RECOVERIES.labels(outcome=how)) for how in ("recovered", "hole"))
    missed = counting(metrics.RECOVERED_MESSAGES)
    recovered = [lobby.joining.join(lobby.client, "g", -1).recovered for _ in range(10)]
    assert recovered == [True] * 3 + [False] * 7
    assert lobby.joining.join(lobby.client, "g", None).recovered
    assert (whole(), holes(), missed()) == (3, 7, 30)


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

    lobby.fan_out.on_slow = close
    lobby.fan_out.put(entry(10))
    lobby.joining.join(client, "g", None)
    lobby.joining.report_hole(client, "g")
    assert not lobby.here.is_watched("g")
    lobby.fan_out.put(entry(11))
    lobby.fan_out.flush()
    assert closed == [client]


async def test_a_hole_that_was_found_by_looking_costs_as_much_as_what_was_looked_through() -> None:
    lobby = Lobby(head=9, resumed_bytes_per_s_per_user=0.001, resumed_bytes_burst_per_user=2_048)
    recovered = [lobby.joining.join(lobby.client, "g", since).recovered for since in (8, -1, 8)]
    assert recovered == [True, False, False]


HALF = 1_048_576 // 2 // MAX_TEXT_BYTES
"""Messages that make about half of what may be unread: what is left for them after those that were missed."""


class UnreadTransport(Transport):
    """A transport whose other end reads nothing."""

    def write(self, data: bytes) -> None:
        super().write(data)
        self.unread += len(data)


class CrowdedLobby(Lobby):
    """Lets somebody in who is in very many groups and reads nothing; the edge's bound is the usual one."""

    def __init__(self, groups: int = 15_000) -> None:
        super().__init__()
        for number in range(groups):
            self.memberships.set_member(f"{number:05}".ljust(64, "x"), self.client.up, True)
        self.socket = EngineSocket()
        self.socket.transport = UnreadTransport()
        most = self.settings.max_buffered_bytes
        self.client = Client(
            "sid",
            self.client.identity,
            self.socket,
            max_bytes=most,
            max_packets=self.settings.max_queued_packets,
        )
        self.here.add(self.client)
        self.closed: list[Client] = []
        self.fan_out.on_slow = self.closed.append

    def begin_by_websocket(self) -> None:
        """Take the place of engine.io's queue, as websockets.py does."""
        transport, most = self.socket.transport, self.settings.max_buffered_bytes
        self.socket.queue = WriteThrough(cast(Any, transport), lambda: None, most)
        self.socket.websocket = self.socket

    def welcome(self, since: Mapping[str, int]) -> None:
        """Do what sessions.py does with whom it has let in."""
        self.joining.join_all(self.client, since)
        self.client.go_direct()

    def say(self, messages: int, *, group: str = "g") -> None:
        """Say so much in a room of theirs."""
        for _ in range(messages):
            self.fan_out.put(entry(1_000, group=group, message="x" * MAX_TEXT_BYTES))
            self.fan_out.flush()


def test_no_room_takes_more_in_joined_than_is_counted_for_it() -> None:
    room = RoomJoined(head=2**63 - 1, recovered=False, missed=200_000)
    assert len(event_frame(JOINED, Joined(rooms={"x" * 64: room}))) <= ROOM_BYTES


async def test_who_is_in_very_many_groups_is_not_slow_for_that_by_websocket() -> None:
    lobby = CrowdedLobby()
    lobby.begin_by_websocket()
    lobby.welcome({})
    transport = lobby.socket.transport
    assert transport.unread > lobby.settings.max_buffered_bytes
    cast(WriteThrough, lobby.socket.queue).put_nowait(packet.Packet(packet.PING))
    lobby.say(HALF)
    assert not transport.is_closing()
    assert lobby.closed == []
    assert lobby.client.transport is cast(Any, transport)
    lobby.say(5 * HALF)
    assert lobby.closed[0] is lobby.client


async def test_who_is_in_very_many_groups_is_not_slow_for_that_while_it_polls() -> None:
    lobby = CrowdedLobby()
    lobby.welcome({})
    lobby.say(HALF)
    assert lobby.closed == []
    lobby.say(5 * HALF)
    assert lobby.closed[0] is lobby.client


@given(
    st.sampled_from([0, 1, MAX_ROOMS_PER_JOINED, MAX_ROOMS_PER_JOINED + 1, 2 * MAX_ROOMS_PER_JOINED + 1]),
    st.sets(st.integers(0, 2 * MAX_ROOMS_PER_JOINED), max_size=5),
)
async def test_rooms_are_told_in_parts_each_with_what_was_missed_there_and_before_anything_live(
    groups: int, busy: set[int]
) -> None:
    lobby = CrowdedLobby(groups)
    rooms = sorted(lobby.memberships.groups_of(lobby.client.up))
    missed = [room for number, room in enumerate(rooms) if number in busy and room != "g"]
    for seq, room in enumerate(missed):
        partition = partition_of(room.encode(), lobby.settings.kafka_partitions)
        lobby.window.begin(partition, 0)
        added = entry(seq, group=room, partition=partition)
        assert lobby.window.add(added) is added
    lobby.begin_by_websocket()
    lobby.welcome(dict.fromkeys(missed, -1))
    for room in missed[:1]:
        lobby.say(1, group=room)
    told: list[str] = []
    resumed: list[str] = []
    heard: list[str] = []
    for _, text in FrameReader().feed(b"".join(lobby.socket.transport.wire)):
        name, said = orjson.loads(text[2:])
        if name == JOINED:
            assert heard == [room for room in missed if room in told]
            assert len(said["rooms"]) <= MAX_ROOMS_PER_JOINED
            told += said["rooms"]
            resumed += [room for room, how in said["rooms"].items() if how["missed"] == 1]
        else:
            heard.append(said["room"])
    assert (told, resumed) == (rooms, missed)
    assert heard == missed + missed[:1]

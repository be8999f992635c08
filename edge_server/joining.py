"""Clients come into rooms, as memberships say, and get what they have missed there since their cursors.

Joining a room is one step without an await between what was missed and what comes live.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Final

from edge_server.catch_up import CatchUp, catch_up
from edge_server.clients import Client
from edge_server.delivery import Delivery
from edge_server.fan_out import FanOut
from edge_server.frames import event_frame
from edge_server.recent_log import RecentLog
from edge_server.rooms import Rooms
from edge_server.settings import EdgeSettings
from runtime import metrics
from runtime.budgets import Budgets
from runtime.kafka import partition_of
from runtime.memberships import Memberships
from schemas.client_events import JOINED, LEFT, Joined, Left, RoomJoined

MOST_ROOMS_TOLD: Final = 500
"""Rooms in one ``joined``, which is some 60 KB then. Who is in more gets several, each followed by what was
missed in its rooms: the first message that was missed does not wait until all rooms are told."""

ROOM_BYTES: Final = 192
"""What a room takes in ``joined`` at most, the longest id and the frame included."""

CLOCKS_DIFFER_MS: Final = 1_000
"""How much the clocks of two brokers may differ: one has stamped the membership, another one the messages."""


class Joining:
    """Lets clients into rooms and out of them, as their memberships say."""

    def __init__(
        self,
        settings: EdgeSettings,
        rooms: Rooms,
        window: RecentLog,
        delivery: Delivery,
        fan_out: FanOut,
        memberships: Memberships,
    ) -> None:
        self._partitions = settings.kafka_partitions
        # The other half of what a client may leave unread is for what comes live meanwhile.
        self._most_missed = settings.max_buffered_bytes // 2
        self._resumed = Budgets(settings.resumed_bytes_per_s_per_user, settings.resumed_bytes_burst_per_user)
        self._rooms = rooms
        self._window = window
        self._delivery = delivery
        self._fan_out = fan_out
        self._memberships = memberships
        memberships.on_change(self._follow)

    def join_all(self, client: Client, since: Mapping[str, int]) -> None:
        """Let a new client into all its user's rooms; tell it so; then send what it has missed."""
        self._fan_out.flush()
        joins: dict[str, CatchUp] = {}
        bytes_left = self._most_missed
        for group in sorted(self._memberships.groups_of(client.up)):
            joins[group] = self._join(client, group, since.get(group), bytes_left)
            bytes_left -= joins[group].bytes
        # The user may be a member of these, too, and this edge may hear of it only later.
        client.cursors = {group: seq for group, seq in since.items() if group not in joins}
        # Many groups make a long `joined`: without this it would be cut off as slow at every connect.
        client.raise_unread_limit(ROOM_BYTES * len(joins))
        self._tell(client, joins)

    def join(self, client: Client, group: str, since: int | None) -> RoomJoined:
        """Let a client into one room. What it has missed is sent right after the caller's ack."""
        self._fan_out.flush()
        joined = self._join(client, group, since, self._most_missed)
        self._fan_out.send_soon(client, joined.missed)
        return _room_joined(joined)

    def _join(self, client: Client, group: str, since: int | None, most_bytes: float) -> CatchUp:
        """Let a client in. Its user has a budget for what is looked through; the rest is in history."""
        now = asyncio.get_running_loop().time()
        most_bytes = min(most_bytes, self._resumed.left(client.up, now))
        partition = partition_of(group.encode(), self._partitions)
        head = self._delivery.head(partition)
        joined = catch_up(self._window, group, partition, head=head, since=since, most_bytes=most_bytes)
        self._rooms.join(client, group, after_seq=joined.after_seq)
        if looked_through := joined.bytes + joined.bytes_in_vain:
            self._resumed.spend(client.up, now, looked_through)
        if since is not None:
            metrics.RECOVERIES.labels(outcome="recovered" if joined.recovered else "hole").inc()
            metrics.RECOVERED_MESSAGES.inc(len(joined.missed))
        return joined

    def tell_hole(self, client: Client, group: str) -> None:
        """Let a client go on from here whose cursor is from another log."""
        self._fan_out.flush()
        self._rooms.join(client, group)
        head = self._delivery.head(partition_of(group.encode(), self._partitions))
        self._tell(client, {group: CatchUp(head=head, recovered=False)})
        metrics.RECOVERIES.labels(outcome="hole").inc()

    def _tell(self, client: Client, joins: Mapping[str, CatchUp]) -> None:
        """Tell a client its rooms, each part of them with what it has missed there. One part may be empty."""
        rest = iter(joins.items())
        for _ in range(0, max(1, len(joins)), MOST_ROOMS_TOLD):
            part = dict(islice(rest, MOST_ROOMS_TOLD))
            rooms = {group: _room_joined(join) for group, join in part.items()}
            client.send(event_frame(JOINED, Joined(rooms=rooms)))
            for join in part.values():
                self._fan_out.send_to(client, join.missed)

    def _follow(self, group: str, up: str, member: bool, at: int) -> None:
        """A membership has changed: the user's clients here follow at once.

        One that has yet to be welcomed comes into no room here: its welcome lets it into all of them.
        This edge may learn of it after what was said since: whoever cannot have heard that is told of a hole.
        """
        self._fan_out.flush()
        for client in self._rooms.of_user(up):
            if not member:
                self._rooms.leave(client, group)
                client.send(event_frame(LEFT, Left(room=group)))
            elif client.cursors is not None:
                since = client.cursors.pop(group, None)
                joined = self._join(client, group, since, self._most_missed)
                if since is None and self._window.newest_at(group) >= at - CLOCKS_DIFFER_MS:
                    joined = replace(joined, recovered=False)
                self._tell(client, {group: joined})


def _room_joined(join: CatchUp) -> RoomJoined:
    return RoomJoined(head=join.head, recovered=join.recovered, missed=len(join.missed))

"""Joins clients to their rooms, by the memberships, and sends what they have missed since their cursors.

Joining a room is one step: there is no await between the missed messages and the live ones.
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

MAX_ROOMS_PER_JOINED: Final = 500
"""Rooms in one ``joined``, which then has some 60 KB. A client in more rooms gets several, each followed by
the missed messages of its rooms: the first of these does not wait until all rooms are sent."""

ROOM_BYTES: Final = 192
"""The most bytes that a room takes in ``joined``, with the longest id, and its part of the frame."""

CLOCKS_DIFFER_MS: Final = 1_000
"""How much two brokers' clocks may differ: one has stamped the membership, another one the messages."""


class Joining:
    """Lets clients join and leave rooms, by their memberships."""

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
        # The other half of what a client may leave unread is for live messages meanwhile.
        self._max_missed_bytes = settings.max_buffered_bytes // 2
        self._resume_budget = Budgets(
            settings.resumed_bytes_per_s_per_user, settings.resumed_bytes_burst_per_user
        )
        self._rooms = rooms
        self._window = window
        self._delivery = delivery
        self._fan_out = fan_out
        self._memberships = memberships
        memberships.on_change(self._on_membership_change)

    def join_all(self, client: Client, since: Mapping[str, int]) -> None:
        """Let a new client join all its user's rooms; send it ``joined`` and what it has missed."""
        self._fan_out.flush()
        joins: dict[str, CatchUp] = {}
        bytes_left = self._max_missed_bytes
        for group in sorted(self._memberships.groups_of(client.up)):
            joins[group] = self._join(client, group, since.get(group), bytes_left)
            bytes_left -= joins[group].bytes
        # The user may be a member of these, too, and this edge may read that record only later.
        client.cursors = {group: seq for group, seq in since.items() if group not in joins}
        # Many groups make a long `joined`: without this the client would be closed as slow at every connect.
        client.raise_unread_limit(ROOM_BYTES * len(joins))
        self._send_joined(client, joins)

    def join(self, client: Client, group: str, since: int | None) -> RoomJoined:
        """Let a client join one room. The missed messages are sent right after the caller's ack."""
        self._fan_out.flush()
        joined = self._join(client, group, since, self._max_missed_bytes)
        self._fan_out.send_soon(client, joined.missed)
        return _room_joined(joined)

    def _join(self, client: Client, group: str, since: int | None, most_bytes: float) -> CatchUp:
        """Let a client join. Scanned bytes are charged to its user's budget; beyond it there is a hole."""
        now = asyncio.get_running_loop().time()
        most_bytes = min(most_bytes, self._resume_budget.left(client.up, now))
        partition = partition_of(group.encode(), self._partitions)
        head = self._delivery.head(partition)
        joined = catch_up(self._window, group, partition, head=head, since=since, most_bytes=most_bytes)
        self._rooms.join(client, group, after_seq=joined.after_seq)
        if scanned_bytes := joined.bytes + joined.scanned_in_vain:
            self._resume_budget.spend(client.up, now, scanned_bytes)
        if since is not None:
            metrics.RECOVERIES.labels(outcome="recovered" if joined.recovered else "hole").inc()
            metrics.RECOVERED_MESSAGES.inc(len(joined.missed))
        return joined

    def report_hole(self, client: Client, group: str) -> None:
        """Let a client whose cursor is from another log resume from the newest message, and tell it so."""
        self._fan_out.flush()
        self._rooms.join(client, group)
        head = self._delivery.head(partition_of(group.encode(), self._partitions))
        self._send_joined(client, {group: CatchUp(head=head, recovered=False)})
        metrics.RECOVERIES.labels(outcome="hole").inc()

    def _send_joined(self, client: Client, joins: Mapping[str, CatchUp]) -> None:
        """Send ``joined``, in batches of rooms, each followed by its missed messages; at least one batch."""
        remaining = iter(joins.items())
        for _ in range(0, max(1, len(joins)), MAX_ROOMS_PER_JOINED):
            batch = dict(islice(remaining, MAX_ROOMS_PER_JOINED))
            rooms = {group: _room_joined(join) for group, join in batch.items()}
            client.send(event_frame(JOINED, Joined(rooms=rooms)))
            for join in batch.values():
                self._fan_out.send_to(client, join.missed)

    def _on_membership_change(self, group: str, up: str, member: bool, at: int) -> None:
        """Let the user's clients join or leave the room whose membership has changed.

        A client before its `join_all` is skipped: that will join all rooms. This edge may read a membership
        after later messages of the group: a client that may have missed some is told of a hole.
        """
        self._fan_out.flush()
        for client in self._rooms.of_user(up):
            if not member:
                self._rooms.leave(client, group)
                client.send(event_frame(LEFT, Left(room=group)))
            elif client.cursors is not None:
                since = client.cursors.pop(group, None)
                joined = self._join(client, group, since, self._max_missed_bytes)
                if since is None and self._window.newest_at(group) >= at - CLOCKS_DIFFER_MS:
                    joined = replace(joined, recovered=False)
                self._send_joined(client, {group: joined})


def _room_joined(join: CatchUp) -> RoomJoined:
    return RoomJoined(head=join.head, recovered=join.recovered, missed=len(join.missed))

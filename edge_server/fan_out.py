"""Writes each message, framed once, to the transport of every member on this edge.

Messages that have their turn within one pass of the event loop leave together: one write a client and room.
Where that spares writes, the fan-out rests after them, so that more messages leave together the next time.
The loop over members does not await: nobody joins or leaves in it.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from edge_server.clients import Client
from edge_server.recent_log import Entry
from edge_server.rooms import Rooms
from runtime import metrics

REST_FACTOR: Final = 3.0
"""A rest is so many times as long as the spared writes would have taken, of which no more count than were
made. The loop is free for input then."""
MAX_REST_S: Final = 0.05
"""The longest rest: too short for a person to notice."""


def rest_after(took_s: float, writes: int, spared: int) -> float:
    """Return how long to rest (s) after ``writes`` that took ``took_s``, where ``spared`` were spared."""
    return min(REST_FACTOR * took_s * min(spared, writes) / writes, MAX_REST_S) if writes else 0.0


class FanOut:
    """Sends entries to the members of their rooms."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self.on_slow: Callable[[Client], None]
        """Closes a client that does not read what it is sent. Has to be set before anything is sent."""
        self._outbox: dict[str, list[Entry]] = {}
        self._missed: list[tuple[Client, Sequence[Entry]]] = []
        self._rests_until = 0.0

    def put(self, entry: Entry) -> None:
        """Queue a readable entry, in log order; it is sent at the end of the loop's pass, or of the rest."""
        if not self._outbox:
            loop = asyncio.get_running_loop()
            if self._rests_until <= loop.time():
                loop.call_soon(self.flush)
            else:
                loop.call_at(self._rests_until, self.flush)
        self._outbox.setdefault(entry.group, []).append(entry)

    def flush(self) -> None:
        """Send all queued entries now. Called before a client joins a room: it must not get them twice."""
        self._send_missed()
        if not self._outbox:
            return
        loop = asyncio.get_running_loop()
        started = loop.time()
        outbox, self._outbox = self._outbox, {}
        writes = spared = 0
        for room, entries in outbox.items():
            written = self._deliver(room, entries)
            writes += written
            spared += written * (len(entries) - 1)
        metrics.DELIVERY_WRITES.inc(writes)
        ended = loop.time()
        self._rests_until = ended + rest_after(ended - started, writes, spared)

    def send_soon(self, client: Client, entries: Sequence[Entry]) -> None:
        """Send entries to one client at the end of this pass, before anything newer."""
        if not self._missed:
            asyncio.get_running_loop().call_soon(self._send_missed)
        self._missed.append((client, entries))

    def _send_missed(self) -> None:
        missed, self._missed = self._missed, []
        for client, entries in missed:
            self.send_to(client, entries)

    def send_to(self, client: Client, entries: Sequence[Entry]) -> None:
        """Send entries to one client, in order."""
        for entry in entries:
            if entry.frame is not None:
                client.send(entry.frame)
        self._close_if_slow(client)

    def _deliver(self, room: str, entries: list[Entry]) -> int:
        """Write entries to their room's members; return the number of writes."""
        frames = [entry.frame for entry in entries if entry.frame is not None]
        joined = b"".join(frames)
        members = self._rooms.members(room)
        slow = []
        for client in members:
            transport = client.transport
            if transport is None:
                for frame in frames:
                    client.send(frame)
            else:
                client.write(transport, joined)
            if client.slow:
                slow.append(client)
        writes = len(members)
        metrics.DELIVERIES.inc(len(entries) * writes)
        if ahead := self._rooms.ahead(room):
            self._deliver_ahead(room, entries, ahead)
        for client in slow:
            self._close_if_slow(client)
        return writes

    def _deliver_ahead(self, room: str, entries: list[Entry], ahead: dict[Client, int]) -> None:
        head = entries[-1].seq
        for client, cursor in tuple(ahead.items()):
            newer = [entry for entry in entries if entry.seq > cursor]
            metrics.DELIVERIES.inc(len(newer))
            if head >= cursor:
                self._rooms.join(client, room)
            self.send_to(client, newer)

    def _close_if_slow(self, client: Client) -> None:
        if client.slow and not client.gone:
            metrics.SLOW_CLIENTS.inc()
            self.on_slow(client)

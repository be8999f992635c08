"""Who is here, and in which room. Memory only; no decision about who may be where.

A client may be *ahead*: its cursor is newer than anything that had its turn on this edge, because it was on
another one. It gets only what comes after its cursor, until this edge has caught up with it.
"""

from collections import defaultdict
from collections.abc import Iterator, KeysView
from typing import TypeVar

from edge_server.clients import Client

Value = TypeVar("Value")


class Rooms:
    """The connected clients, by sid, by user and by room."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}
        self._users: defaultdict[str, dict[Client, None]] = defaultdict(dict)
        self._members: dict[str, dict[Client, None]] = {}
        self._ahead: dict[str, dict[Client, int]] = {}

    def add(self, client: Client) -> None:
        """A client is here, in no room yet."""
        self.clients[client.sid] = client
        self._users[client.up][client] = None

    def remove(self, client: Client) -> bool:
        """A client is gone, from all rooms. Returns whether it was its user's last one."""
        self.clients.pop(client.sid, None)
        for room in tuple(client.rooms):
            self.leave(client, room)
        mine = self._users[client.up]
        mine.pop(client, None)
        if not mine:
            del self._users[client.up]
            return True
        return False

    def join(self, client: Client, room: str, *, after_seq: int | None = None) -> None:
        """A client gets the room's messages from now on; one that is ahead, only those after ``after_seq``.

        One that is gone does not: it may have been closed while it was being let in, for being slow.
        """
        if client.gone:
            return
        client.rooms.add(room)
        if after_seq is None:
            _discard(self._ahead, room, client)
            self._members.setdefault(room, {})[client] = None
        else:
            _discard(self._members, room, client)
            self._ahead.setdefault(room, {})[client] = after_seq

    def leave(self, client: Client, room: str) -> None:
        """A client no longer gets the room's messages."""
        client.rooms.discard(room)
        _discard(self._members, room, client)
        _discard(self._ahead, room, client)

    def members(self, room: str) -> KeysView[Client]:
        """Return the clients that get everything of a room."""
        return self._members.get(room, _NO_ONE).keys()

    def ahead(self, room: str) -> dict[Client, int]:
        """Return the clients that only get what is newer than their cursor."""
        return self._ahead.get(room, _NO_CURSORS)

    def all_ahead(self) -> Iterator[tuple[str, Client, int]]:
        """Yield the rooms and clients that wait to be caught up with, and their cursors."""
        for room, ahead in self._ahead.items():
            for client, cursor in ahead.items():
                yield room, client, cursor

    def is_watched(self, room: str) -> bool:
        """Say whether anybody here is in the room."""
        return room in self._members or room in self._ahead

    def of_user(self, up: str) -> tuple[Client, ...]:
        """Return a user's clients here, in the order of their coming."""
        return tuple(self._users.get(up, _NO_ONE))


_NO_ONE: dict[Client, None] = {}
_NO_CURSORS: dict[Client, int] = {}


def _discard(rooms: dict[str, dict[Client, Value]], room: str, client: Client) -> None:
    here = rooms.get(room)
    if here is not None:
        here.pop(client, None)
        if not here:
            del rooms[room]

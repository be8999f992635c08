"""The connected clients and their rooms, in memory. Who may be in a room is not decided here.

A client may be *ahead*: its cursor is newer than any record that had its turn on this edge, because it was on
another one. It gets only messages after its cursor, until this edge has caught up with it.
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
        """Add a client, in no room yet."""
        self.clients[client.sid] = client
        self._users[client.up][client] = None

    def remove(self, client: Client) -> bool:
        """Remove a client, from all rooms too. Return whether it was its user's last one."""
        self.clients.pop(client.sid, None)
        for room in tuple(client.rooms):
            self.leave(client, room)
        clients = self._users[client.up]
        clients.pop(client, None)
        if not clients:
            del self._users[client.up]
            return True
        return False

    def join(self, client: Client, room: str, *, after_seq: int | None = None) -> None:
        """Give a client the room's messages from now on; one that is ahead, only those after ``after_seq``.

        A client that is gone is ignored: it may have been closed as slow while it was joining.
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
        """Stop giving a client the room's messages."""
        client.rooms.discard(room)
        _discard(self._members, room, client)
        _discard(self._ahead, room, client)

    def members(self, room: str) -> KeysView[Client]:
        """Return the clients that get all messages of a room."""
        return self._members.get(room, _NO_ONE).keys()

    def ahead(self, room: str) -> dict[Client, int]:
        """Return the clients that get only messages after their cursor, with these cursors."""
        return self._ahead.get(room, _NO_CURSORS)

    def all_ahead(self) -> Iterator[tuple[str, Client, int]]:
        """Yield room, client and cursor for each client that is ahead."""
        for room, ahead in self._ahead.items():
            for client, cursor in ahead.items():
                yield room, client, cursor

    def is_watched(self, room: str) -> bool:
        """Return whether the room has a client on this edge."""
        return room in self._members or room in self._ahead

    def of_user(self, up: str) -> tuple[Client, ...]:
        """Return a user's clients on this edge, in the order of their connects."""
        return tuple(self._users.get(up, _NO_ONE))


_NO_ONE: dict[Client, None] = {}
_NO_CURSORS: dict[Client, int] = {}


def _discard(rooms: dict[str, dict[Client, Value]], room: str, client: Client) -> None:
    clients = rooms.get(room)
    if clients is not None:
        clients.pop(client, None)
        if not clients:
            del rooms[room]

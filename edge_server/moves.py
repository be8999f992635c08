"""Decides which clients are told to move, when, and which are closed. Pure: times are arguments, in seconds.

No client is closed without having been told. As many are told at a time as the other edges can let in.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

STEP_S: Final = 0.1
"""The mean time between two steps."""


class Leaver(Hashable, Protocol):
    """What moving needs to know of a client."""

    gone: bool


C = TypeVar("C", bound=Leaver)


def pace(per_s: float, *, waiting: int, left_s: float | None) -> float:
    """Return how many may be told in a second: ``per_s``, or more if too little time is left for that."""
    if left_s is None:
        return per_s
    return max(per_s, waiting / max(0.1, left_s))


class Bucket:
    """Turns a rate into whole numbers. It keeps what was not used, at most two steps' worth and one."""

    def __init__(self) -> None:
        self._filled_at: float | None = None
        self._level = 0.0

    def take(self, now: float, per_s: float) -> int:
        """Return how many may go now."""
        passed = 0.0 if self._filled_at is None else now - self._filled_at
        self._filled_at = now
        self._level = min(self._level + passed * per_s, 1 + 2 * STEP_S * per_s)
        whole = int(self._level)
        self._level -= whole
        return whole


class Notified(NamedTuple):
    """Where a client was told to move, and until when it may stay."""

    url: str
    until: float


class Destination(NamedTuple):
    """Where a client is to move, and when it may be told at the earliest."""

    url: str
    not_before: float


@dataclass(frozen=True, slots=True)
class Step(Generic[C]):
    """Clients to notify and to close now, and how many have left by themselves since the step before."""

    notify: list[tuple[C, str]]
    close: list[C]
    left: int


class Moves(Generic[C]):
    """The clients that belong elsewhere."""

    def __init__(self, *, within_s: float) -> None:
        self._within_s = within_s
        self._waiting: dict[C, Destination] = {}
        self._notified: dict[C, Notified] = {}

    @property
    def waiting(self) -> int:
        """How many have yet to be told."""
        return len(self._waiting)

    def set_destination(self, client: C, url: str | None, not_before: float = 0.0) -> None:
        """Set where a client belongs; None is this edge.

        A client that was told this URL is not told again; one that waits to be told it does not wait longer.
        """
        waiting, notified = self._waiting.get(client), self._notified.get(client)
        if url is None:
            self._waiting.pop(client, None)
            self._notified.pop(client, None)
        elif notified is not None and notified.url == url:
            self._waiting.pop(client, None)
        elif waiting is None or waiting.url != url:
            self._waiting[client] = Destination(url, not_before)

    def step(self, now: float, most: int) -> Step[C]:
        """Return the next step, in which at most ``most`` clients are told."""
        left = [client for client in self._notified if client.gone]
        for client in left:
            del self._notified[client]
        close = [client for client, notified in self._notified.items() if notified.until <= now]
        for client in close:
            del self._notified[client]
            self._waiting.pop(client, None)
        notify = self._next_to_notify(now, most)
        for client, url in notify:
            self._notified[client] = Notified(url, now + self._within_s)
        return Step(notify, close, len(left))

    def _next_to_notify(self, now: float, most: int) -> list[tuple[C, str]]:
        notify: list[tuple[C, str]] = []
        for client, destination in list(self._waiting.items()):
            if len(notify) >= most:
                break
            if client.gone or destination.not_before <= now:
                del self._waiting[client]
                if not client.gone:
                    notify.append((client, destination.url))
        return notify

"""Who is told to go elsewhere, when, and who has stayed for too long. Pure: times are arguments, in seconds.

Nobody is closed without having been told, and so many at a time are told as the others can let in.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

STEP_S: Final = 0.1
"""How often, with jitter, clients are told and closed."""


class Leaver(Hashable, Protocol):
    """A client, as far as moving looks at it."""

    gone: bool


C = TypeVar("C", bound=Leaver)


def pace(per_s: float, *, waiting: int, left_s: float | None) -> float:
    """Return how many may be told in a second: ``per_s``, or more where too little time is left for that."""
    if left_s is None:
        return per_s
    return max(per_s, waiting / max(0.1, left_s))


class Bucket:
    """Turns a rate into whole numbers. What was not used may be used later: two steps' worth, and one."""

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


class Told(NamedTuple):
    """Where a client was told to go, and until when it may stay."""

    url: str
    until: float


class Asked(NamedTuple):
    """Where a client is to go, and when it may be told at the earliest."""

    url: str
    not_before: float


@dataclass(frozen=True, slots=True)
class Step(Generic[C]):
    """What is to be done now, and how many have gone by themselves since the step before."""

    tell: list[tuple[C, str]]
    close: list[C]
    went: int


class Moves(Generic[C]):
    """The clients that belong elsewhere."""

    def __init__(self, *, within_s: float) -> None:
        self._within_s = within_s
        self._asked: dict[C, Asked] = {}
        self._told: dict[C, Told] = {}

    @property
    def waiting(self) -> int:
        """How many have yet to be told."""
        return len(self._asked)

    def ask(self, client: C, url: str | None, not_before: float = 0.0) -> None:
        """Note where a client belongs; None is here. One that was told the same is not told again, and one
        that waits for the same goes on waiting for as long as before."""
        asked, told = self._asked.get(client), self._told.get(client)
        if url is None:
            self._asked.pop(client, None)
            self._told.pop(client, None)
        elif told is not None and told.url == url:
            self._asked.pop(client, None)
        elif asked is None or asked.url != url:
            self._asked[client] = Asked(url, not_before)

    def step(self, now: float, most: int) -> Step[C]:
        """Take the next step; at most ``most`` clients are told."""
        went = [client for client in self._told if client.gone]
        for client in went:
            del self._told[client]
        close = [client for client, told in self._told.items() if told.until <= now]
        for client in close:
            del self._told[client]
            self._asked.pop(client, None)
        tell = self._next(now, most)
        for client, url in tell:
            self._told[client] = Told(url, now + self._within_s)
        return Step(tell, close, len(went))

    def _next(self, now: float, most: int) -> list[tuple[C, str]]:
        tell: list[tuple[C, str]] = []
        for client, asked in list(self._asked.items()):
            if len(tell) >= most:
                break
            if client.gone or asked.not_before <= now:
                del self._asked[client]
                if not client.gone:
                    tell.append((client, asked.url))
        return tell

"""A history: what every simulated client said, was acked and saw, and what the store holds in the end.

Plain data; it judges nothing. Times are seconds of one clock that only grows.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.client_events import ChatMessage


class Connection(NamedTuple):
    """One connection of one client, counted from 1."""

    number: int
    edge: str


class Said(NamedTuple):
    """A message that a client gave to its outbox. ``id`` is unique in a history."""

    up: str
    group: str
    id: str
    text: str
    sent_at: int


class Acked(NamedTuple):
    """An ack that a client got. A message that was tried twice may have two."""

    id: str
    seq: int
    timestamp: int
    connection: Connection
    at_s: float


class Joined(NamedTuple):
    """The edge told the client that it is in the group's room: from ``head`` on, unless it resumes.

    ``recovered`` is False where the edge said that there is a hole up to ``head``.
    """

    head: int
    recovered: bool
    connection: Connection
    at_s: float


class Received(NamedTuple):
    """A message came."""

    message: ChatMessage
    connection: Connection
    at_s: float


class Left(NamedTuple):
    """The client is no longer in the room: it was told so, or went for good."""

    at_s: float


Step = Joined | Received | Left


@dataclass(slots=True)
class Sight:
    """What one client saw of one group, in the order in which it saw it."""

    client: str
    up: str
    group: str
    steps: list[Step] = field(default_factory=list)


class Membership(NamedTuple):
    """``up`` was made a member at the first moment at the earliest, and was no member after the last one."""

    group: str
    up: str
    from_s: float
    until_s: float = float("inf")


@dataclass
class History:
    """Everything, once all clients have seen all that they will see."""

    said: list[Said] = field(default_factory=list)
    acks: list[Acked] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)
    memberships: list[Membership] = field(default_factory=list)
    stored: list[ChatMessage] = field(default_factory=list)
    """What the store holds, in any order."""

"""Unacked messages of a student, and when they are sent again. Pure, without a clock.

A message keeps its id over all attempts, so it is in the log once.
"""

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

from schemas import refusals

TRY_AGAIN: Final = frozenset(
    row.code for row in (refusals.UNAVAILABLE, refusals.OVERLOADED, refusals.RATE_LIMITED)
)
"""Codes after which the same message may be accepted later. Any other is final."""

MOST_DOUBLINGS: Final = 4
"""Pauses after refusals grow to at most 16 times the first one."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message of a student. ``sent_at`` is in ms since 1970."""

    room: str
    text: str
    id: str
    sent_at: int


class Outbox:
    """At most ``window`` messages are unacked at once; the others wait, in order."""

    def __init__(self, *, window: int = 8, retry_after_s: float = 0.5, ack_timeout_s: float = 20.0) -> None:
        self._window = window
        self._retry_after_s = retry_after_s
        self._ack_timeout_s = ack_timeout_s
        self._messages: dict[str, tuple[int, Outgoing]] = {}
        self._waiting: list[tuple[int, str]] = []
        self._under_way: dict[str, float] = {}
        self._not_before = 0.0
        self._refusals = 0
        self._posted = 0
        self.retries = 0
        """How many times a message was put back to be tried again."""

    def __len__(self) -> int:
        """How many messages are neither acked nor refused for good."""
        return len(self._messages)

    def post(self, message: Outgoing) -> None:
        """Add a message. Raises ValueError if its id is in the outbox already."""
        if message.id in self._messages:
            raise ValueError(f"{message.id} is posted already")
        self._posted += 1
        self._messages[message.id] = self._posted, message
        heappush(self._waiting, (self._posted, message.id))

    def take_due(self, now: float) -> list[Outgoing]:
        """Return the messages to send at ``now`` (seconds of a monotonic clock)."""
        for message_id in [known for known, until in self._under_way.items() if until <= now]:
            self._put_back(message_id)
        due: list[Outgoing] = []
        while self._waiting and len(self._under_way) < self._window and now >= self._not_before:
            _, message_id = heappop(self._waiting)
            if message_id in self._messages:
                self._under_way[message_id] = now + self._ack_timeout_s
                due.append(self._messages[message_id][1])
        return due

    def next_due(self) -> float | None:
        """Return when `take_due` may next return something; None if only after another call."""
        moments = list(self._under_way.values())
        if self._waiting and len(self._under_way) < self._window:
            moments.append(self._not_before)
        return min(moments, default=None)

    def acked(self, message_id: str) -> Outgoing | None:
        """Return the message that is done, or None where an earlier try was acked already."""
        self._refusals = 0
        self._under_way.pop(message_id, None)
        _, message = self._messages.pop(message_id, (0, None))
        return message

    def refused(self, message_id: str, code: str, now: float) -> Outgoing | None:
        """Handle a refusal. Return the message if it is final; otherwise it is sent again later.

        While nothing is acked the pauses double, so that an overloaded server can recover.
        """
        if code not in TRY_AGAIN:
            return self.acked(message_id)
        if now >= self._not_before:
            pause_s = self._retry_after_s * 2.0 ** min(self._refusals, MOST_DOUBLINGS)
            self._refusals += 1
            self._not_before = now + pause_s
        self._put_back(message_id)
        return None

    def disconnected(self) -> None:
        """Handle the end of a connection: unacked messages are sent again, in the same order."""
        for message_id in list(self._under_way):
            self._put_back(message_id)
        self._not_before = 0.0

    def _put_back(self, message_id: str) -> None:
        if self._under_way.pop(message_id, None) is not None:
            self.retries += 1
            heappush(self._waiting, (self._messages[message_id][0], message_id))

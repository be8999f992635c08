"""Bounds how much of a message is read before it ends: little before login, more after it.

A message in parts may go on for ever, and many logged-in senders together could fill the memory. What happens
to a message that has ended is not decided here.
"""

from collections.abc import Callable
from typing import Any, Final

from edge_server.settings import EdgeSettings
from runtime import metrics

HEADS_FACTOR: Final = 2
"""One message may be read up to so many times MAX_FRAME_BYTES. The heads of its parts count, too: each may be
as long as its part, and an endless row of empty parts reaches this bound."""

_UNFINISHED: Final = metrics.LIMIT_HITS.labels(limit="unfinished messages")
_OF_EDGE: Final = metrics.LIMIT_HITS.labels(limit="unfinished messages of an edge")


class Unfinished:
    """Counts the bytes of unfinished messages over all websockets of an edge."""

    __slots__ = ("_most", "bytes")

    def __init__(self, settings: EdgeSettings) -> None:
        self.bytes = 0
        self._most = settings.max_unfinished_bytes

    @property
    def is_too_much(self) -> bool:
        """Whether messages that will be refused as too large must not be read to their end."""
        return self.bytes > self._most


class BoundedReader:
    """A websocket's reader that closes the connection on a message that is too long before it ends.

    A message over MAX_EVENT_BYTES is never accepted. Before login it closes the connection. After login it is
    read up to MAX_FRAME_BYTES, or twice that with the heads of its parts, only so that it can be answered
    `too_large`, unless all unfinished messages together exceed MAX_UNFINISHED_BYTES: then it closes, too.
    """

    __slots__ = (
        "_all_unfinished",
        "_give_up",
        "_max_after_login",
        "_max_event",
        "_most",
        "_reader",
        "_unfinished",
    )

    def __init__(
        self, reader: Any, settings: EdgeSettings, all_unfinished: Unfinished, give_up: Callable[[], None]
    ) -> None:
        self._reader = reader
        self._most = self._max_event = settings.max_event_bytes
        self._max_after_login = HEADS_FACTOR * settings.max_frame_bytes
        self._all_unfinished = all_unfinished
        self._give_up = give_up
        self._unfinished = 0

    def allow_whole_frames(self) -> None:
        """Read up to the bound after login from now on."""
        self._most = self._max_after_login

    def message_ended(self) -> None:
        """A text or binary message has been read, or never will be: the connection is gone."""
        self._all_unfinished.bytes -= self._unfinished
        self._unfinished = 0

    def feed_data(self, data: bytes) -> None:
        """Read bytes; what ends a message is to call `message_ended`."""
        self._unfinished += len(data)
        self._all_unfinished.bytes += len(data)
        self._reader.feed_data(data)
        if self._unfinished > self._most:
            _UNFINISHED.inc()
            self._give_up()
        elif self._unfinished > self._max_event and self._all_unfinished.is_too_much:
            _OF_EDGE.inc()
            self._give_up()

    def feed_eof(self) -> None:
        """Do nothing: aiohttp has released the connection."""

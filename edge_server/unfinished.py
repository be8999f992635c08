"""How much of a message may be read before it ends: little, until it is known who sends it.

A message in parts may go on for ever, and many known senders together could fill the memory. What becomes of
a message that has ended is not decided here.
"""

from collections.abc import Callable
from typing import Any, Final

from aiohttp import WSCloseCode
from aiohttp.http_websocket import WebSocketError

from edge_server.settings import EdgeSettings
from runtime import metrics

HEADS_FACTOR: Final = 2
"""One message may be read up to so many times MAX_FRAME_BYTES. The heads of its parts count, too: each may be
as long as its part, and an endless row of empty parts reaches this bound."""

_UNFINISHED: Final = metrics.LIMIT_HITS.labels(limit="unfinished messages")
_OF_EDGE: Final = metrics.LIMIT_HITS.labels(limit="unfinished messages of an edge")
_LONG_FRAMES: Final = metrics.LIMIT_HITS.labels(limit="long frames")


class Unfinished:
    """What all websockets of an edge have been sent of messages that have not ended, together."""

    __slots__ = ("_most", "bytes")

    def __init__(self, settings: EdgeSettings) -> None:
        self.bytes = 0
        self._most = settings.max_unfinished_bytes

    @property
    def is_too_much(self) -> bool:
        """Whether messages that will be refused as too large must not be read to their end."""
        return self.bytes > self._most


class BoundedReader:
    """A websocket's reader that gives up on a message that does not end.

    A message over MAX_EVENT_BYTES is never accepted. Before login it closes the connection. After login it is
    read up to MAX_FRAME_BYTES, or twice that with the heads of its parts, only so that it can be answered
    `too_large`, unless all unfinished messages together exceed MAX_UNFINISHED_BYTES: then it closes, too.
    """

    __slots__ = ("_give_up", "_most", "_most_known", "_most_taken", "_reader", "_together", "_unread")

    def __init__(
        self, reader: Any, settings: EdgeSettings, together: Unfinished, give_up: Callable[[], None]
    ) -> None:
        self._reader = reader
        self._most = self._most_taken = settings.max_event_bytes
        self._most_known = HEADS_FACTOR * settings.max_frame_bytes
        self._together = together
        self._give_up = give_up
        self._unread = 0

    def sender_is_known(self) -> None:
        """From now on whole frames may be read."""
        self._most = self._most_known

    def message_ended(self) -> None:
        """A text or binary message has been read, or never will be: the connection is gone."""
        self._together.bytes -= self._unread
        self._unread = 0

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Read bytes; what ends a message is to call `message_ended`."""
        self._unread += len(data)
        self._together.bytes += len(data)
        fed: tuple[bool, bytes] = self._reader.feed_data(data)
        if self._unread > self._most:
            _UNFINISHED.inc()
            self._give_up()
        elif self._unread > self._most_taken and self._together.is_too_much:
            _OF_EDGE.inc()
            self._give_up()
        return fed

    def feed_eof(self) -> None:
        """There is nothing more to read."""
        self._reader.feed_eof()


def count_if_long(error: BaseException) -> None:
    """Count a reader's error if it is a frame that is longer than may be read."""
    if isinstance(error, WebSocketError) and error.code == WSCloseCode.MESSAGE_TOO_BIG:
        _LONG_FRAMES.inc()

"""A connection's parser of requests that gives up on heads that are too long, one or several together.

The library bounds only each field and their number, which makes 1 MiB a head. That takes twice as much memory
until the head ends, which may be never, and while its request waits behind another one of its connection.
"""

from collections.abc import Sequence
from typing import Any, Final

from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD

MAX_HEAD_BYTES: Final = 16_384
"""Of the fields of a head, names and values: a token of 8 KiB leaves 8 KiB for all that browsers and proxies
add."""

BESIDE_FIELDS_BYTES: Final = 4_096
"""What a head may have besides: its first line, and what stands between its fields."""

PIECE_BYTES: Final = 8_192
"""The parser does not tell where in its input a head begins: it is fed so much at once."""

MAX_AHEAD_BYTES: Final = 65_536
"""Of the requests of a connection that wait until an earlier one is answered. Hardly any client sends several
at once."""

_NOTHING: Final[tuple[Sequence[Any], bool, bytes]] = ((), False, b"")


class BoundedParser:
    """aiohttp's parser with these bounds. Once it has failed it reads nothing more."""

    __slots__ = (
        "_ahead", "_body", "_failed", "_parser", "_unfinished", "_waiting", "pause_reading", "set_upgraded",
    )  # fmt: skip

    def __init__(self, parser: Any) -> None:
        self._parser = parser
        self.pause_reading = parser.pause_reading
        self.set_upgraded = parser.set_upgraded
        self._body = EMPTY_PAYLOAD
        self._unfinished = self._waiting = self._ahead = 0
        self._failed = False

    def message_consumed(self) -> None:
        """A request that waited has been begun."""
        self._parser.message_consumed()
        self._waiting -= 1
        if self._waiting <= 0:
            self._waiting = self._ahead = 0

    def feed_data(self, data: bytes) -> tuple[Sequence[Any], bool, bytes]:
        """Read bytes, as the library's parser does. Raises HttpProcessingError, once."""
        if self._failed:
            return _NOTHING
        try:
            if len(data) <= PIECE_BYTES:
                return self._feed(data)
            return self._feed_in_pieces(data)
        except HttpProcessingError:
            self._failed = True
            raise

    def _feed_in_pieces(self, data: bytes) -> tuple[Sequence[Any], bool, bytes]:
        come: list[Any] = []
        for at in range(0, len(data), PIECE_BYTES):
            end = at + PIECE_BYTES
            messages, upgraded, tail = self._feed(data[at:end])
            come += messages
            if upgraded:
                return come, True, tail + data[end:]
        return come, False, b""

    def _feed(self, piece: bytes) -> tuple[Sequence[Any], bool, bytes]:
        body, before = self._body, self._body.total_bytes
        fed: tuple[Sequence[Any], bool, bytes] = self._parser.feed_data(piece)
        messages = fed[0]
        # A head that ends here may have begun in the piece before.
        may_be_long = self._unfinished + len(piece) > MAX_HEAD_BYTES - PIECE_BYTES
        if messages:
            self._body = messages[-1][1]
            self._unfinished = 0
            if self._waiting:
                self._ahead += len(piece)
            self._waiting += len(messages)
        elif body.total_bytes == before:
            # A head, or what follows the last chunk of a body and is kept like one.
            self._unfinished += len(piece)
        else:
            self._unfinished = 0
        is_unfinished_long = self._unfinished > MAX_HEAD_BYTES + BESIDE_FIELDS_BYTES
        is_whole_long = may_be_long and any(map(_is_long, messages))
        if is_unfinished_long or is_whole_long or self._ahead > MAX_AHEAD_BYTES:
            raise LineTooLong(b"", MAX_HEAD_BYTES)
        return fed


def _is_long(message: tuple[Any, Any]) -> bool:
    """Return whether a whole head is too long: it may have come at once."""
    return sum(len(name) + len(value) for name, value in message[0].raw_headers) > MAX_HEAD_BYTES

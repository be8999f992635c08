"""A whole answer, sent in one write. It knows no route and decides nothing.

Building and formatting the header mapping of aiohttp's own response is a third of the cost of a small
request. Here the head is text, made of ready lines.
"""

from typing import Final

from aiohttp import HttpVersion, HttpVersion10, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time

from api_gateway.unread_answers import UnreadAnswers

JSON: Final = "application/json"
_JSON_LINE: Final = f"Content-Type: {JSON}\r\n"
_WITHOUT_LENGTH: Final = frozenset({204, 304})


def line(name: str, value: str) -> str:
    """Return one header's line. Raises ValueError where the value would end the line."""
    if "\r" in value or "\n" in value:
        raise ValueError(f"a line break in the header {name}")
    return f"{name}: {value}\r\n"


class ReadyResponse(web.StreamResponse):
    """A body and its head. ``lines`` are header lines as `line` makes them, and may still be added to."""

    def __init__(self, body: bytes, lines: str = _JSON_LINE, status: int = 200, caller: str = "") -> None:
        super().__init__(status=status)
        self.body: Final = body
        self.caller = caller
        self.lines = lines
        self.request_id: str | None = None
        """Set if the answer was logged under an id; the others get one when they are sent."""
        self.unread: UnreadAnswers | None = None
        """Set on a large answer: the bounds within which it is sent."""
        self._kept_alive = False

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays open after this answer."""
        return self._kept_alive

    @property
    def body_length(self) -> int:
        """How many bytes the body has, for the access log."""
        return len(self.body)

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write the answer. Raises ConnectionError where the client is gone."""
        self._kept_alive = request.keep_alive
        written = self.head(request.version, keep_alive=self._kept_alive).encode()
        if request.method != "HEAD":
            written += self.body
        if self.unread is None:
            await request.writer.write_eof(written)
        else:
            await self.unread.send(request, self.caller, written)
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Everything has been written by now."""

    def head(self, version: HttpVersion, *, keep_alive: bool) -> str:
        """Return the head for a client that speaks ``version``."""
        length = "" if self.status in _WITHOUT_LENGTH else f"Content-Length: {len(self.body)}\r\n"
        connection = ""
        if not keep_alive:
            connection = "Connection: close\r\n"
        elif version == HttpVersion10:
            connection = "Connection: keep-alive\r\n"
        return (
            f"HTTP/1.1 {self.status} {self.reason}\r\n{length}Date: {rfc822_formatted_time()}\r\n"
            f"{connection}{self.lines}\r\n"
        )

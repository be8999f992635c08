"""``requests.log``: one line a request, in Apache's combined format.

Lines are made by one f-string and written together, once a second. aiohttp's own logger formats a line by a
list of functions, and a handler checks and flushes its file for each line: that costs twice as much as
answering a small request.
"""

import asyncio
import logging
import re
import time
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http import HttpVersion

WRITE_EVERY_S: Final = 1.0
MAX_LINES: Final = 10_000
"""With so many lines they are written at once."""
MAX_FIELD_CHARS: Final = 512
"""Of each field that a client has sent: escaped, it may take several times as many, and CPU time."""

_SESSION: Final = re.compile(r"\bsid=[^&]+")
"""The id of an engine.io session in an address. While a client polls, whoever knows it reads and writes in
that client's name."""


class AccessLog:
    """Collects lines and writes them to ``logger``."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lines: list[str] = []
        self._second = -1
        self._second_text = ""

    def logger_class(self) -> type[AbstractAccessLogger]:
        """Return the logger class that aiohttp instantiates for each connection: all instances write here."""
        return type("Line", (AbstractAccessLogger,), {"__slots__": (), "log": staticmethod(self.add)})

    def add(self, request: web.BaseRequest, response: web.StreamResponse, took_s: float) -> None:
        """Add the line of one request."""
        headers, path = request.headers, request.raw_path
        if "sid=" in path:
            path = _SESSION.sub("sid=...", path)
        version: HttpVersion = request.version
        self._lines.append(
            f"{request.remote or '-'} - - {self._at(time.time() - took_s)} "
            f'"{request.method} {_field(path)} HTTP/{version.major}.{version.minor}" '
            f"{response.status} {response.body_length} "
            f'"{_field(headers.get("Referer"))}" "{_field(headers.get("User-Agent"))}"'
        )
        if len(self._lines) == 1:
            asyncio.get_running_loop().call_later(WRITE_EVERY_S, self.write)
        elif len(self._lines) >= MAX_LINES:
            self.write()

    def write(self) -> None:
        """Write the collected lines. If they go to the root's handlers (stdout), each is a record."""
        lines, self._lines = self._lines, []
        if not lines:
            return
        for text in lines if self._logger.propagate else ["\n".join(lines)]:
            self._logger.info("%s", text)

    def _at(self, seconds: float) -> str:
        """Return a moment in Apache's format; the text is made once a second."""
        second = int(seconds)
        if second != self._second:
            self._second = second
            self._second_text = time.strftime("[%d/%b/%Y:%H:%M:%S %z]", time.localtime(second))
        return self._second_text


def _field(text: str | None) -> str:
    """Escape a client's text as Apache does, so that it can end neither its field nor its line."""
    if text is None:
        return "-"
    text = text[:MAX_FIELD_CHARS]
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in escaped)

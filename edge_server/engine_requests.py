"""A request as engine.io wants to see it: what it looks at, all of a polled body, and who may come."""

import re
from collections.abc import Collection
from typing import Any, Final

from aiohttp.web import Request
from engineio import packet
from engineio.exceptions import EngineIOError
from engineio.payload import Payload

_BESIDE_MESSAGES: Final[tuple[list[int], ...]] = (
    [], [packet.PONG], [packet.CLOSE], [packet.PONG, packet.CLOSE],
)  # fmt: skip
"""The packets that a polled body may hold besides messages, in their order. It answers one ping at most: the
next one is sent only after that. It closes once; all other kinds are said by websockets or servers."""

_JSONP: Final = b"d="
"""Begins a form, which clients of this protocol do not send. engine.io would parse all its fields: 128 KiB of
them, as whoever is not let in may send, twice for 0.1 s, in which nobody else is served."""

_HEADERS: Final = (
    ("Accept-Encoding", "HTTP_ACCEPT_ENCODING"),
    ("Access-Control-Request-Headers", "HTTP_ACCESS_CONTROL_REQUEST_HEADERS"),
    ("Connection", "HTTP_CONNECTION"),
    ("Content-Length", "CONTENT_LENGTH"),
    ("Host", "HTTP_HOST"),
    ("Origin", "HTTP_ORIGIN"),
    ("Upgrade", "HTTP_UPGRADE"),
    ("X-Forwarded-Host", "HTTP_X_FORWARDED_HOST"),
    ("X-Forwarded-Proto", "HTTP_X_FORWARDED_PROTO"),
)
"""The headers that engine.io looks at, and what it calls them."""
_PYTHONS_CLOCK: Final = re.compile(r"\d+\.\d+")
"""Python's client writes the time in seconds into ``t``, whatever its `User-Agent`: no other does."""


class WholeBody:
    """A polled body, which was read to its end before: aiohttp's ``read(n)`` returns what has arrived."""

    def __init__(self, request: Request) -> None:
        self._request = request

    async def read(self, _size: int) -> bytes:
        """Return the whole body: engine.io asks for as many bytes as the request says, none of one in chunks.

        Raises EngineIOError, which engine.io answers by 400, where no client that polls would send that body.
        Of any other exception it thinks that it is its own fault, and answers 200.
        """
        body = await self._request.read()
        if body.startswith(_JSONP):
            raise EngineIOError
        try:
            packets = Payload(encoded_payload=body.decode()).packets
        except (ValueError, LookupError, TypeError) as error:
            raise EngineIOError from error
        kinds = [one.packet_type for one in packets]
        if [kind for kind in kinds if kind != packet.MESSAGE] not in _BESIDE_MESSAGES:
            raise EngineIOError
        return body


def environ_of(request: Request) -> dict[str, Any]:
    """Return what engine.io wants to know of a request. It keeps that for as long as the connection lives."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.query_string,
        "wsgi.url_scheme": request.headers.get("X-Forwarded-Proto", "http"),
        "wsgi.input": WholeBody(request),
        "aiohttp.request": request,
    }
    for header, key in _HEADERS:
        if header in request.headers:
            environ[key] = ",".join(request.headers.getall(header))
    return environ


def is_pythons(request: Request) -> bool:
    """Return whether engine.io's client in Python asks, as far as can be seen."""
    by_name = request.headers.get("User-Agent", "").lower().startswith("python")
    return by_name or _PYTHONS_CLOCK.fullmatch(request.query.get("t", "")) is not None


def allowed_origins(origins: Collection[str]) -> str | list[str]:
    """Return the origins of the settings as engine.io takes them."""
    return "*" if "*" in origins else sorted(origins)

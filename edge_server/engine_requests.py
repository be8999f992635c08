"""Gives engine.io a request in the form that it reads: headers, a whole polled body, allowed origins."""

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
"""The packets that a polled body may hold besides messages, in this order. It answers at most one ping, as
the next one is sent only after that, and closes once. All other kinds come by websockets or from servers."""

_JSONP: Final = b"d="
"""Begins a form, which clients of this protocol do not send. engine.io would parse its fields twice: 0.1 s
each, during which no client is served, for the 128 KiB that are read before login."""

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
"""The headers that engine.io reads, and its names for them."""
_PYTHONS_CLOCK: Final = re.compile(r"\d+\.\d+")
"""Only Python's client writes the time in seconds into ``t``, whatever its `User-Agent`."""


class WholeBody:
    """A polled body that was read to its end: aiohttp's ``read(n)`` would return only what has arrived."""

    def __init__(self, request: Request) -> None:
        self._request = request

    async def read(self, _size: int) -> bytes:
        """Return the whole body. engine.io asks for Content-Length bytes, which is 0 for one in chunks.

        Raises EngineIOError for a body that no polling client would send: engine.io answers that with 400,
        and any other exception with 200.
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
    """Return a request as engine.io's environ, which it keeps for as long as the connection lives."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.query_string,
        "wsgi.url_scheme": request.headers.get("X-Forwarded-Proto", "http"),
        "wsgi.input": WholeBody(request),
        "aiohttp.request": request,
    }
    for header, key in _HEADERS:
        if header in request.headers:
            environ[key] = _joined(request, header)
    if "HTTP_UPGRADE" in environ and not asks_for_websocket(request):
        # A proxy may drop Connection alone: engine.io would begin a session, and fail (500).
        del environ["HTTP_UPGRADE"]
    return environ


def asks_for_websocket(request: Request) -> bool:
    """Return whether a request asks for a websocket, by engine.io's rule; a session may while it polls."""
    wanted = _joined(request, "Connection").lower().split(",")
    return "upgrade" in map(str.strip, wanted) and _joined(request, "Upgrade").lower() == "websocket"


def _joined(request: Request, header: str) -> str:
    """Return a header as engine.io reads it: all its lines are one."""
    return ",".join(request.headers.getall(header, ()))


def is_python_client(request: Request) -> bool:
    """Return whether a request seems to come from engine.io's client in Python."""
    by_name = request.headers.get("User-Agent", "").lower().startswith("python")
    return by_name or _PYTHONS_CLOCK.fullmatch(request.query.get("t", "")) is not None


def allowed_origins(origins: Collection[str]) -> str | list[str]:
    """Return the origins of the settings as engine.io takes them."""
    return "*" if "*" in origins else sorted(origins)

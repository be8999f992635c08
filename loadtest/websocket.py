"""The client's side of a websocket (RFC 6455), as far as Socket.IO needs it. Pure; no I/O."""

import base64
import hashlib
import os
from struct import pack, unpack_from
from typing import Final
from urllib.parse import SplitResult

TEXT: Final = 0x1
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
WHOLE_TEXT: Final = 0x80 | TEXT
"""The first byte of a text frame that is not continued."""

MAX_FRAME_BYTES: Final = 16 * 1024 * 1024

_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_NO_MASK: Final = bytes(4)
_NORMAL_CLOSURE: Final = pack("!H", 1000)


class ProtocolError(ValueError):
    """The server violated the protocol."""


def frame_at(data: bytes, at: int) -> tuple[int, bytes, int] | None:
    """Return a server's frame that begins there: first byte (FIN and opcode), payload, where it ends.

    None where it is not whole yet. Raises `ProtocolError` for a masked or an over-long frame.
    """
    size = len(data)
    if size - at < 2:
        return None
    length, start = data[at + 1], at + 2
    if length >= 126:
        if size - at < 10 and (length != 126 or size - at < 4):
            return None
        length, start = _long_length(data, at, length)
    end = start + length
    return None if end > size else (data[at], data[start:end], end)


def _long_length(data: bytes, at: int, marker: int) -> tuple[int, int]:
    """Return a long frame's length and where its payload starts."""
    if marker == 126:
        return unpack_from("!H", data, at + 2)[0], at + 4
    length = unpack_from("!Q", data, at + 2)[0] if marker == 127 else MAX_FRAME_BYTES + 1
    if length > MAX_FRAME_BYTES:
        raise ProtocolError("a frame is masked or longer than is believed")
    return length, at + 10


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Return one frame as a client must send it: masked.

    The mask is all zeros: it protects proxies from web pages, and these bytes are our own.
    """
    first, size = 0x80 | opcode, len(payload)
    if size < 126:
        return pack("!BB", first, 0x80 | size) + _NO_MASK + payload
    if size < 65_536:
        return pack("!BBH", first, 0x80 | 126, size) + _NO_MASK + payload
    return pack("!BBQ", first, 0x80 | 127, size) + _NO_MASK + payload


def close_frame() -> bytes:
    """Return the frame that ends a connection normally."""
    return client_frame(_NORMAL_CLOSURE, CLOSE)


class Handshake:
    """The HTTP request that asks for a websocket, and the check of its answer."""

    def __init__(self, url: SplitResult, path: str) -> None:
        self._key = base64.b64encode(os.urandom(16))
        lines = (
            f"GET {path} HTTP/1.1",
            f"Host: {url.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {self._key.decode()}",
            "Sec-WebSocket-Version: 13",
        )
        self.request = "\r\n".join((*lines, "", "")).encode()

    def check(self, head: bytes) -> None:
        """Raise `ProtocolError` where the answer's head does not open a websocket."""
        status, *fields = head.split(b"\r\n")
        if not status.startswith(b"HTTP/1.1 101"):
            raise ProtocolError(f"no websocket: {status[:100]!r}")
        named = dict(field.split(b":", 1) for field in fields if b":" in field)
        accepted = {name.strip().lower(): value.strip() for name, value in named.items()}
        wanted = base64.b64encode(hashlib.sha1(self._key + _MAGIC).digest())  # noqa: S324 - the RFC's
        if accepted.get(b"sec-websocket-accept") != wanted:
            raise ProtocolError("the answer belongs to another handshake")

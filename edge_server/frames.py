"""Makes an event's bytes on the wire: Socket.IO's text, and the websocket frame around it. Pure.

A server's frames are not masked, so that the same bytes serve every member of a room.
"""

from struct import pack
from typing import Any, Final

import orjson
from pydantic import BaseModel

from schemas.client_events import CHAT_MESSAGE

_TEXT_FRAME: Final = 0x81
"""FIN and opcode 1. No RSV bit: uncompressed, which is allowed on every connection (RFC 6455, 7692)."""

_CLOSE_FRAME: Final = 0x88
_PONG_FRAME: Final = 0x8A

BYTES_PER_EVENT: Final = 1_024
"""So many bytes count as one more event: parsing costs time, and texts take memory in all edges' windows."""

MOST_BYTES_A_CHAR: Final = 4

_HEADER_BYTES: Final = {126: 4, 127: 10}
"""How long the header is, by its second byte; below these, that byte is the text's length."""


def event_frame(name: str, payload: BaseModel | dict[str, Any]) -> bytes:
    """Return an event of the default namespace as a frame: engine.io's message (4), socket.io's event (2)."""
    data = payload.model_dump(by_alias=True) if isinstance(payload, BaseModel) else payload
    return text_frame(b"42" + orjson.dumps([name, data]))


def size_of(text: str) -> int:
    """Return how many bytes a text has as UTF-8."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def is_larger(text: str, most_bytes: int) -> bool:
    """Return whether a text has more bytes than this. It is encoded only if its length leaves that open."""
    longest = MOST_BYTES_A_CHAR * len(text)
    return longest > most_bytes and (len(text) > most_bytes or size_of(text) > most_bytes)


def event_cost(text: str) -> int:
    """Return what a client's event is charged: one, and one more for each KiB."""
    return 1 + size_of(text) // BYTES_PER_EVENT


def text_frame(text: bytes) -> bytes:
    """Return one unmasked text frame around UTF-8 bytes."""
    size = len(text)
    if size < 126:
        return pack("!BB", _TEXT_FRAME, size) + text
    if size < 65_536:
        return pack("!BBH", _TEXT_FRAME, 126, size) + text
    return pack("!BBQ", _TEXT_FRAME, 127, size) + text


def pong_frame(payload: bytes) -> bytes:
    """Return the answer to a websocket's ping."""
    return pack("!BB", _PONG_FRAME, len(payload)) + payload


def close_frame(code: int) -> bytes:
    """Return the frame that ends a websocket; 0: without a reason."""
    return pack("!BBH", _CLOSE_FRAME, 2, code) if code else pack("!BB", _CLOSE_FRAME, 0)


def text_of(frame: bytes) -> bytes:
    """Return the text in a frame that `text_frame` has made."""
    return frame[_HEADER_BYTES.get(frame[1], 2) :]


def message_frame(
    *,
    id: str,  # noqa: A002 - the contract's word
    seq: int,
    room: str,
    up: str,
    message: str,
    timestamp: int,
    sent_at: int,
) -> bytes:
    """Return the frame of ``chat message`` that every member gets. ``timestamp`` is the broker's."""
    event = {
        "id": id,
        "seq": seq,
        "room": room,
        "up": up,
        "message": message,
        "timestamp": timestamp,
        "sentAt": sent_at,
    }
    return event_frame(CHAT_MESSAGE, event)


def message_ack(ack_id: str, message_id: str, seq: int, timestamp: int) -> bytes:
    """Return the frame of the ack that a message's sender gets. No part of it needs JSON's escapes."""
    return text_frame(f'43{ack_id}[{{"id":"{message_id}","seq":{seq},"timestamp":{timestamp}}}]'.encode())


def ack(ack_id: str, answer: dict[str, Any]) -> bytes:
    """Return the frame of any other ack."""
    return text_frame(b"43%b[%b]" % (ack_id.encode(), orjson.dumps(answer)))

"""How an event looks on the wire: Socket.IO's text, and the websocket frame around it. Pure.

A server's frames are not masked, so that the same bytes serve every member of a room.
"""

from struct import pack
from typing import Any, Final

import orjson
from pydantic import BaseModel

from schemas.client_events import CHAT_MESSAGE
from schemas.log_records import MessageSent

_TEXT_FRAME: Final = 0x81
"""FIN and opcode 1. No RSV bit: uncompressed, which is allowed on every connection (RFC 6455, 7692)."""

_HEADER_BYTES: Final = {126: 4, 127: 10}
"""How long the header is, by its second byte; below these, that byte is the text's length."""


def event_text(name: str, payload: BaseModel | dict[str, Any]) -> bytes:
    """Return an event of the default namespace: engine.io's message (4), socket.io's event (2), JSON."""
    data = payload.model_dump(by_alias=True) if isinstance(payload, BaseModel) else payload
    return b"42" + orjson.dumps([name, data])


def text_frame(text: bytes) -> bytes:
    """Return one unmasked text frame around UTF-8 bytes."""
    size = len(text)
    if size < 126:
        return pack("!BB", _TEXT_FRAME, size) + text
    if size < 65_536:
        return pack("!BBH", _TEXT_FRAME, 126, size) + text
    return pack("!BBQ", _TEXT_FRAME, 127, size) + text


def text_of(frame: bytes) -> bytes:
    """Return the text in a frame that `text_frame` has made."""
    return frame[_HEADER_BYTES.get(frame[1], 2) :]


def message_frame(sent: MessageSent, *, seq: int, timestamp: int) -> bytes:
    """Return the frame of ``chat message`` that every member gets. ``timestamp`` is the broker's."""
    event = {
        "id": sent.id,
        "seq": seq,
        "room": sent.group,
        "up": sent.up,
        "message": sent.message,
        "timestamp": timestamp,
        "sentAt": sent.sent_at,
    }
    return text_frame(event_text(CHAT_MESSAGE, event))

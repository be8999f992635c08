"""One Socket.IO connection (protocol v5), websocket only. It never reconnects by itself."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from functools import cache
from itertools import count
from typing import Any, Final, Protocol, cast
from urllib.parse import urlsplit

import orjson

from loadtest.seen_frames import BEGINNING_BYTES, Batch, SeenFrames
from loadtest.websocket import (
    CLOSE,
    PING,
    PONG,
    WHOLE_TEXT,
    Handshake,
    ProtocolError,
    client_frame,
    close_frame,
    frame_at,
)
from schemas.client_events import ChatMessage

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 30.0

_PATH: Final = "/socket.io/?EIO=4&transport=websocket"
_PING_TEXT: Final = b"2"
_PONG_FRAME: Final = client_frame(b"3")
_NOOP_TEXT: Final = b"6"

OnAck = Callable[[Any], None]


class ConnectRefusedError(Exception):
    """The edge refused the connection: ``code`` is that of the table of refusals, ``url`` another edge's."""

    def __init__(self, code: str, message: str, url: str | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.url = url


class Owner(Protocol):
    """Callbacks of a connection. Only `on_event` may raise."""

    def on_message(self, message: ChatMessage) -> None:
        """Handle a chat message."""

    def on_batch(self, batch: Batch) -> None:
        """Handle a batch of messages whose bytes another student has received before."""
        for message in batch.messages:
            self.on_message(message)

    def on_event(self, name: str, payload: Any) -> None:
        """Handle any other event. Raises if its payload is invalid; `on_not_understood` follows."""

    def on_not_understood(self, why: str) -> None:
        """Handle invalid data after the connection was opened. `on_lost` follows."""
        log.warning("an edge was not understood: %s", why)

    def on_lost(self, reason: str) -> None:
        """Handle the end of an opened connection."""


class Connection(asyncio.Protocol):
    """Made by `connect`, which returns it when the edge has accepted the student."""

    def __init__(self, owner: Owner, seen: SeenFrames, auth: dict[str, Any], handshake: Handshake) -> None:
        self._owner = owner
        self._seen = seen
        self._auth = auth
        self._handshake = handshake
        self._rest = b""
        """The beginning of a frame whose end is still to come."""
        self._head: bytes | None = b""
        self._loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport
        self._acks: dict[int, OnAck] = {}
        self._ack_ids = count()
        self._silence_s = CONNECT_TIMEOUT_S
        self._heard_at = self._loop.time()
        self._watch: asyncio.TimerHandle | None = None
        self._reason = "the edge closed the connection"

    def emit(self, name: str, payload: dict[str, Any], on_ack: OnAck) -> None:
        """Send an event. ``on_ack`` is called with the ack's argument, unless the connection ends before."""
        if self._transport.is_closing():
            return
        number = next(self._ack_ids)
        self._acks[number] = on_ack
        self._send(b"42%d%b" % (number, orjson.dumps([name, payload])))

    def close(self, reason: str = "closed by us") -> None:
        """End the connection; ``on_lost`` follows. Does nothing where it has ended."""
        # uvloop's transports raise where they are written to once they are closed.
        if not self._transport.is_closing():
            self._reason = reason
            self._transport.write(close_frame())
            self._transport.close()

    def abort(self, reason: str = "aborted by us") -> None:
        """Drop the connection as a lost network does; ``on_lost`` follows."""
        self._reason = reason
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the websocket."""
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._handshake.request)
        self._watch = self._loop.call_later(self._silence_s, self._watch_silence)

    def data_received(self, data: bytes) -> None:
        """Handle data. Mostly it is one batch that another student has received before."""
        if self._head is None and not self._rest:
            batch = self._seen.batches.get(data[:BEGINNING_BYTES])
            if batch is not None and batch.data == data:
                self._owner.on_batch(batch)
                return
        try:
            data = self._rest + (data if self._head is None else self._take_head(data))
            self._rest = data[self._take_frames(data) :]
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            # Data of any invalid shape ends the connection, not the event loop.
            why = str(error) if isinstance(error, ValueError) else repr(error)
            if self._is_open():
                self._owner.on_not_understood(why)
            self.abort(f"not understood: {why}")

    def _is_open(self) -> bool:
        """Return whether the edge has accepted the student."""
        return self.opened.done() and not self.opened.cancelled() and self.opened.exception() is None

    def _take_frames(self, data: bytes) -> int:
        """Handle the complete frames, and return where they end.

        Batches that other students have received before are the hot path. The data between them is parsed
        frame by frame, and its messages are remembered as a batch.
        """
        batches, on_batch, remember = self._seen.batches, self._owner.on_batch, self._seen.remember_batch
        began, at, size = 0, 0, len(data)
        messages: list[ChatMessage] = []
        while at < size:
            batch = batches.get(data[at : at + BEGINNING_BYTES])
            if batch is not None and data.startswith(batch.data, at):
                message, end = None, at + batch.size
                on_batch(batch)
            elif (frame := frame_at(data, at)) is not None:
                first, payload, end = frame
                message = self._take_frame(first, payload)
            else:
                break
            if message is not None:
                messages.append(message)
            else:
                if messages:
                    remember(data[began:at], messages)
                    messages = []
                began = end
            at = end
        if messages:
            remember(data[began:at], messages)
        return at

    def _take_frame(self, first: int, payload: bytes) -> ChatMessage | None:
        """Handle a frame; return its chat message, if it is one."""
        if first != WHOLE_TEXT:
            self._take_control(first, payload)
            return None
        message = self._seen.get(payload) or self._take_text(payload)
        if message is not None:
            self._owner.on_message(message)
        return message

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the owner, or fail `opened` if the connection is not open yet."""
        if self._watch is not None:
            self._watch.cancel()
        self._acks.clear()
        reason = f"{self._reason} ({exc})" if exc else self._reason
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(reason))
        elif self._is_open():
            self._owner.on_lost(reason)

    def _take_head(self, data: bytes) -> bytes:
        """Return what follows the answer to the handshake, once it is whole."""
        head = (self._head or b"") + data
        end = head.find(b"\r\n\r\n")
        if end < 0:
            self._head = head
            return b""
        self._handshake.check(head[:end])
        self._head = None
        return head[end + 4 :]

    def _take_control(self, first: int, payload: bytes) -> None:
        opcode = first & 0x0F
        if opcode == PING:
            self._transport.write(client_frame(payload, PONG))
        elif opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big") if payload else 1005
            self.close(f"the edge closed the connection (code {code})")
        elif opcode != PONG:
            raise ProtocolError(f"a frame beginning with {first:#x}")

    def _take_text(self, text: bytes) -> ChatMessage | None:
        """Handle a packet; return its chat message, if it is one."""
        self._heard_at = self._loop.time()
        if text == _PING_TEXT:
            self._transport.write(_PONG_FRAME)
        elif text.startswith(b"43"):
            self._take_ack(text)
        elif text.startswith(b"42"):
            if (message := self._seen.parse(text)) is not None:
                return message
            name, *payload = orjson.loads(text[2:])
            self._owner.on_event(name, payload[0] if payload else None)
        elif text.startswith(b"0"):
            self._take_open(orjson.loads(text[1:]))
        elif text.startswith(b"40"):
            if not self.opened.done():
                self.opened.set_result(None)
        elif text.startswith((b"1", b"41", b"44")):
            self._take_end(text)
        elif text != _NOOP_TEXT:
            raise ProtocolError(f"a packet beginning with {text[:20]!r}")
        return None

    def _take_open(self, opening: dict[str, Any]) -> None:
        self._silence_s = (opening["pingInterval"] + opening["pingTimeout"]) / 1000
        self._send(b"40" + orjson.dumps(self._auth))

    def _take_end(self, text: bytes) -> None:
        if text.startswith(b"44") and not self.opened.done():
            refusal = orjson.loads(text[2:])
            data = refusal.get("data") or {}
            refused = ConnectRefusedError(
                data.get("code", "unknown"), refusal.get("message", ""), data.get("url")
            )
            self.opened.set_exception(refused)
        self.close(f"the edge ended the session ({text[:200]!r})")

    def _take_ack(self, text: bytes) -> None:
        bracket = text.index(b"[")
        on_ack = self._acks.pop(int(text[2:bracket]), None)
        if on_ack is not None:
            arguments = orjson.loads(text[bracket:])
            on_ack(arguments[0] if arguments else None)

    def _send(self, text: bytes) -> None:
        self._transport.write(client_frame(text))

    def _watch_silence(self) -> None:
        """Abort if the edge has not pinged within the interval that it announced."""
        quiet_s = self._loop.time() - self._heard_at
        if quiet_s >= self._silence_s:
            self.abort(f"nothing heard for {quiet_s:.0f} s")
        else:
            self._watch = self._loop.call_later(self._silence_s - quiet_s, self._watch_silence)


@cache
def _trusted() -> ssl.SSLContext:
    """Return the authorities whose edges are trusted.

    Read once: for each connection, it would cost the generator 20 ms of CPU and 800 KB of memory.
    """
    return ssl.create_default_context()


async def connect(owner: Owner, seen: SeenFrames, url: str, auth: dict[str, Any]) -> Connection:
    """Connect to an edge and return when it has accepted the student.

    Raises `ConnectRefusedError`, or OSError if no edge answers correctly.
    """
    parts = urlsplit(url)
    secure = parts.scheme in ("https", "wss")
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        _, connection = await loop.create_connection(
            lambda: Connection(owner, seen, auth, Handshake(parts, _PATH)),
            parts.hostname or "",
            parts.port or (443 if secure else 80),
            ssl=_trusted() if secure else None,
        )
        try:
            await connection.opened
        except asyncio.CancelledError:
            connection.abort()
            raise
    return connection

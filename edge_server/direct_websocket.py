"""A websocket after its acceptance: one asyncio protocol on its transport, without a waiting task.

Most connections are idle most of the time. With aiohttp each would keep its request, two tasks and a dozen
waiting coroutines. Here a task runs only while packets for engine.io are processed, in their order.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from aiohttp import WSCloseCode, WSMessage, WSMsgType
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http_websocket import WebSocketError, WebSocketReader
from engineio import exceptions, packet

from edge_server.clients import Client
from edge_server.frames import close_frame, pong_frame
from edge_server.reading import FULL, Reading
from edge_server.settings import EdgeSettings
from edge_server.unfinished import BoundedReader, Unfinished
from runtime import metrics
from runtime.budgets import Budget

READ_AHEAD_CHARS: Final = 65_536
"""While more than this was read and is not processed, reading is paused."""

PACKET_CHARS: Final = 64
"""Added to the length of each packet: an empty one takes memory, too."""

FRAMES_BEFORE_LOGIN: Final = 50
FRAMES_PER_S_BEFORE_LOGIN: Final = 5.0
"""A client logs in with a handful of frames, and has `HANDSHAKE_WITHIN_S` for that: with a student's budget,
thousands of clients without a token would keep an edge busy with their pings."""

CLOSE_WITHIN_S: Final = 10.0
"""How long a client may take to answer our close."""

DATA: Final = (WSMsgType.TEXT, WSMsgType.BINARY)
"""The frames that make a message."""

ShortPath = Callable[[Client, str], bool]
"""Publishes a client's message on the short path; returns False if it has to take the ordinary one."""

Ended = Callable[[], None]


class PacketHandler(Protocol):
    """Handles a websocket's packets: an engine.io socket, or `ComingOver` while a client switches over."""

    closed: bool

    async def receive(self, received: packet.Packet) -> None:
        """Handle a packet."""


class DirectWebSocket(asyncio.Protocol):
    """One websocket. `set_handler` has to be called before it reads."""

    __slots__ = (
        "_budget", "_client", "_close_timer", "_ended", "_handler", "_packets", "_settings",
        "_try_short_path", "_unprocessed_chars", "_worker", "reader", "reading", "transport",
    )  # fmt: skip

    _handler: PacketHandler
    _ended: Ended

    def __init__(
        self,
        transport: asyncio.Transport,
        short_path: ShortPath,
        settings: EdgeSettings,
        unfinished: Unfinished,
    ) -> None:
        self.transport = transport
        self.reading = Reading(transport)
        self._try_short_path = short_path
        self._settings = settings
        self._budget = Budget(
            min(FRAMES_PER_S_BEFORE_LOGIN, settings.events_per_s_per_client),
            min(FRAMES_BEFORE_LOGIN, settings.events_burst_per_client),
        )
        size = settings.max_frame_bytes
        reader = WebSocketReader(_Inbox(self), size, compress=False, decode_text=True)
        too_big = partial(self.fail, WSCloseCode.MESSAGE_TOO_BIG)
        self.reader: BoundedReader | None = BoundedReader(reader, settings, unfinished, too_big)
        """None once the connection is gone."""
        self._client: Client | None = None
        self._packets: list[str | bytes] = []
        self._unprocessed_chars = 0
        self._worker: asyncio.Task[None] | None = None
        self._close_timer: asyncio.TimerHandle | None = None

    @property
    def is_processing(self) -> bool:
        """Whether packets are being processed: no later message may overtake them on the short path."""
        return self._worker is not None

    def set_handler(self, handler: PacketHandler, ended: Ended) -> None:
        """Pass packets to ``handler`` from now on, and call ``ended`` when the connection is gone."""
        self._handler = handler
        self._ended = ended

    def logged_in(self) -> None:
        """Read whole frames from now on, and as many as a student may send."""
        per_s, burst = self._settings.events_per_s_per_client, self._settings.events_burst_per_client
        self._budget = Budget(per_s, burst)
        if self.reader is not None:
            self.reader.allow_whole_frames()

    def use_short_path(self, client: Client) -> None:
        """Let the client's chat messages take the short path from now on: it is direct."""
        self._client = client
        self.logged_in()

    def data_received(self, data: bytes) -> None:
        """Read bytes that the client sent."""
        if self.reader is not None:
            self.reader.feed_data(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Clean up: the connection is gone, for any reason."""
        if self._close_timer is not None:
            self._close_timer.cancel()
        if self.reader is not None:
            self.reader.message_ended()
        self._client = self.reader = None
        self._ended()

    def receive(self, message: WSMessage) -> None:
        """Handle a message from the reader. The short path charges for its messages, this for all others."""
        if message.type in DATA and self.reader is not None:
            self.reader.message_ended()
        if self._close_timer is None and self._took_short_path(message):
            return
        self._spend_on_frame()
        if not self.transport.is_closing():
            self._receive(message)

    def _spend_on_frame(self) -> None:
        """Count a frame. Abort the connection once the debt is as large as the burst."""
        now = asyncio.get_running_loop().time()
        self._budget.spend(now)
        if self._budget.owes_burst(now):
            metrics.LIMIT_HITS.labels(limit="frames").inc()
            self.transport.abort()

    def _receive(self, message: WSMessage) -> None:
        """Handle a message on the ordinary path. After our own close only the client's close counts."""
        if message.type is WSMsgType.CLOSE:
            if self._close_timer is None:
                self.transport.write(close_frame(message.data))
            self.transport.close()
        elif self._close_timer is not None:
            return
        elif message.type in DATA:
            self._put(message.data)
        elif message.type is WSMsgType.PING:
            self.transport.write(pong_frame(bytes(message.data)))

    def close(self, code: int = WSCloseCode.OK) -> None:
        """Send a close frame, and wait for the client's, but for `CLOSE_WITHIN_S` at most."""
        if self._close_timer is None and not self.transport.is_closing():
            self.transport.write(close_frame(code))
            self._close_timer = asyncio.get_running_loop().call_later(CLOSE_WITHIN_S, self.transport.abort)

    def fail(self, code: int) -> None:
        """Send a close frame and close: nothing after it can be read, not even the client's close."""
        self.close(code)
        self.transport.close()

    def _took_short_path(self, message: WSMessage) -> bool:
        if self._client is None or self.is_processing or message.type is not WSMsgType.TEXT:
            return False
        return self._try_short_path(self._client, message.data)

    def _put(self, data: str | bytes) -> None:
        self._packets.append(data)
        self._unprocessed_chars += len(data) + PACKET_CHARS
        if not self.is_processing:
            self._worker = asyncio.get_running_loop().create_task(self._process_packets())
        elif self._unprocessed_chars > READ_AHEAD_CHARS:
            self.reading.pause(FULL)

    async def _process_packets(self) -> None:
        try:
            while self._packets:
                packets, self._packets, self._unprocessed_chars = self._packets, [], 0
                for data in packets:
                    if self._close_timer is None:
                        await self._pass_to_handler(data)
                # The library starts a task for an event: no message may overtake it on the short path.
                await asyncio.sleep(0)
                self.reading.resume(FULL)
        finally:
            self._worker = None

    async def _pass_to_handler(self, data: str | bytes) -> None:
        """Pass a packet to the handler. Close after the last one, or after one that cannot be parsed."""
        try:
            await self._handler.receive(packet.Packet(encoded_packet=data))
        except exceptions.UnknownPacketError:
            return
        except (exceptions.SocketIsClosedError, ValueError, IndexError, TypeError):
            self.close()
        if self._handler.closed:
            self.close()


class _Inbox(WebSocketDataQueue):
    """The queue that aiohttp's reader writes into. It holds nothing: each message is handled at once."""

    __slots__ = ("owner",)

    def __init__(self, owner: DirectWebSocket) -> None:
        # Without the base's own: that makes a buffer, which would stay empty.
        self.owner = owner

    def feed_data(self, data: Any, _size: int) -> None:
        """Handle a message. Called by the reader: it must not fail."""
        self.owner.receive(data)

    def set_exception(self, exc: BaseException, *_: object) -> None:
        """Close: the client has sent an invalid frame, or one that is too long."""
        code = exc.code if isinstance(exc, WebSocketError) else WSCloseCode.OK
        if code == WSCloseCode.MESSAGE_TOO_BIG:
            metrics.LIMIT_HITS.labels(limit="long frames").inc()
        self.owner.fail(code)

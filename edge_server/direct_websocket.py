"""A websocket from its acceptance to its end: frames come in, and no task waits.

Most connections are idle most of the time. Below aiohttp each keeps its request, two tasks and a dozen frames
of coroutines that wait for each other; here it is one protocol on its transport. A task runs only while
packets for engine.io are worked off, in their order.
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
from edge_server.unfinished import BoundedReader, Unfinished, count_if_long
from runtime import metrics
from runtime.budgets import Budget

READ_AHEAD_CHARS: Final = 65_536
"""While more than this was read and has yet to be worked off, no more is read."""

PACKET_CHARS: Final = 64
"""What a packet counts besides its text: an empty one takes memory, too."""

CLOSE_WITHIN_S: Final = 10.0
"""How long a client may take to answer our close."""

NORMAL: Final = 1000

DATA: Final = (WSMsgType.TEXT, WSMsgType.BINARY)
"""The frames that make a message."""

Take = Callable[[Client, str], bool]
"""Takes a client's message the short way; False: it has to go the ordinary one."""

Ended = Callable[[], None]


class FrameBudget(Budget):
    """What a websocket may send besides the messages of the short way, which have their own budget."""

    __slots__ = ("_transport",)

    def __init__(self, transport: asyncio.Transport, settings: EdgeSettings) -> None:
        super().__init__(settings.events_per_s_per_client, settings.events_burst_per_client)
        self._transport = transport

    def spend_on_frame(self) -> None:
        """Count a frame. Who has spent all, and as much again, is cut off."""
        if self.spend(asyncio.get_running_loop().time()) <= -self._burst:
            metrics.LIMIT_HITS.labels(limit="frames").inc()
            self._transport.abort()


class Carried(Protocol):
    """What a websocket carries: an engine.io socket, or `ComingOver` until that client has come over."""

    closed: bool

    async def receive(self, received: packet.Packet) -> None:
        """Take a packet."""


class DirectWebSocket(asyncio.Protocol):
    """One websocket. It has to be told what it carries before it reads."""

    __slots__ = (
        "_ahead", "_budget", "_carried", "_client", "_closer", "_ended", "_take",
        "_waiting", "_work", "reader", "reading", "transport",
    )  # fmt: skip

    _carried: Carried
    _ended: Ended

    def __init__(
        self, transport: asyncio.Transport, take: Take, settings: EdgeSettings, unfinished: Unfinished
    ) -> None:
        self.transport = transport
        self.reading = Reading(transport)
        self._take = take
        self._budget = FrameBudget(transport, settings)
        size = settings.max_frame_bytes
        reader = WebSocketReader(_Inbox(self), size, compress=False, decode_text=True)
        too_big = partial(self.fail, WSCloseCode.MESSAGE_TOO_BIG)
        self.reader: BoundedReader | None = BoundedReader(reader, settings, unfinished, too_big)
        """None once the connection is gone."""
        self._client: Client | None = None
        self._waiting: list[str | bytes] = []
        self._ahead = 0
        self._work: asyncio.Task[None] | None = None
        self._closer: asyncio.TimerHandle | None = None

    @property
    def is_working(self) -> bool:
        """Whether packets are being worked off: nothing overtakes them."""
        return self._work is not None

    def carry(self, carried: Carried, ended: Ended) -> None:
        """From now on packets are for this one, and ``ended`` is called when the connection is gone."""
        self._carried = carried
        self._ended = ended

    def sender_is_known(self) -> None:
        """It is known whose this is: whole frames may be read."""
        if self.reader is not None:
            self.reader.sender_is_known()

    def take_short_way(self, client: Client) -> None:
        """The client is direct: from now on its chat messages go the short way."""
        self._client = client
        self.sender_is_known()

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        if self.reader is not None:
            self.reader.feed_data(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The connection is gone, for whatever reason."""
        if self._closer is not None:
            self._closer.cancel()
        if self.reader is not None:
            self.reader.message_ended()
        self._client = self.reader = None
        self._ended()

    def receive(self, message: WSMessage) -> None:
        """Take a message from the reader. The short way counts what it takes; all else is counted here."""
        if message.type in DATA and self.reader is not None:
            self.reader.message_ended()
        if self._closer is None and self._taken_short(message):
            return
        self._budget.spend_on_frame()
        if not self.transport.is_closing():
            self._receive(message)

    def _receive(self, message: WSMessage) -> None:
        """After our own close only the client's answer to it is looked at."""
        if message.type is WSMsgType.CLOSE:
            if self._closer is None:
                self.transport.write(close_frame(message.data))
            self.transport.close()
        elif self._closer is not None:
            return
        elif message.type in DATA:
            self._put(message.data)
        elif message.type is WSMsgType.PING:
            self.transport.write(pong_frame(bytes(message.data)))

    def close(self, code: int = NORMAL) -> None:
        """Say that this is the end, and give the client the time to say so, too."""
        if self._closer is None and not self.transport.is_closing():
            self.transport.write(close_frame(code))
            self._closer = asyncio.get_running_loop().call_later(CLOSE_WITHIN_S, self.transport.abort)

    def fail(self, code: int) -> None:
        """Say why, and end: nothing that follows can be read, not even an answer to our close."""
        self.close(code)
        self.transport.close()

    def _taken_short(self, message: WSMessage) -> bool:
        if self._client is None or self.is_working or message.type is not WSMsgType.TEXT:
            return False
        return self._take(self._client, message.data)

    def _put(self, data: str | bytes) -> None:
        self._waiting.append(data)
        self._ahead += len(data) + PACKET_CHARS
        if not self.is_working:
            self._work = asyncio.get_running_loop().create_task(self._work_off())
        elif self._ahead > READ_AHEAD_CHARS:
            self.reading.stop(FULL)

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting, self._ahead = self._waiting, [], 0
                for data in waiting:
                    if self._closer is None:
                        await self._hand_on(data)
                # An event begins in a task of the library's: no message may overtake it by the short way.
                await asyncio.sleep(0)
                self.reading.go_on(FULL)
        finally:
            self._work = None

    async def _hand_on(self, data: str | bytes) -> None:
        """Hand a packet to engine.io. After the last one, or what cannot be read as one, close."""
        try:
            await self._carried.receive(packet.Packet(encoded_packet=data))
        except exceptions.UnknownPacketError:
            return
        except (exceptions.SocketIsClosedError, ValueError, IndexError, TypeError):
            self.close()
        if self._carried.closed:
            self.close()


class _Inbox(WebSocketDataQueue):
    """What the reader writes into. It holds nothing: whatever comes is taken at once."""

    __slots__ = ("owner",)

    def __init__(self, owner: DirectWebSocket) -> None:
        # Without the base's own: that makes a buffer, which would stay empty.
        self.owner = owner

    def feed_data(self, data: Any, _size: int) -> None:
        """Take a message. Called by the reader: it must not fail."""
        self.owner.receive(data)

    def feed_eof(self) -> None:
        """aiohttp has let go of the connection."""

    def set_exception(self, exc: BaseException, *_: object) -> None:
        """The client has sent what is no websocket frame, or too much."""
        count_if_long(exc)
        self.owner.fail(exc.code if isinstance(exc, WebSocketError) else NORMAL)

"""Edges within the test's own event loop, and clients that remember what they got."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import socketio

from edge_server.app import start
from edge_server.settings import EdgeSettings
from runtime import metrics
from runtime.service import Service, running
from tests.integration.backing import Log, new_group, token
from tests.waiting import DEADLINE_S, eventually


class Edge:
    """A running edge."""

    def __init__(self, service: Service, url: str) -> None:
        self.service = service
        self.url = url
        self.clients: list[ChatClient] = []
        """Who has connected to it."""
        self._before = _connections()

    def connected(self) -> int:
        """How many more clients are connected to any edge of this process than when this one began."""
        return _connections() - self._before


def _connections() -> int:
    return int(sum(sample.value for sample in next(iter(metrics.CONNECTIONS.collect())).samples))


@asynccontextmanager
async def edge(**changes: Any) -> AsyncIterator[Edge]:
    """Run an edge on a free port. At its end whoever has connected to it goes."""
    settings = EdgeSettings(**{"edge_name": new_group(), "drain_deadline_s": 0.0, **changes})
    service = Service("edge_server", settings)
    urls: list[str] = []

    async def begin(service: Service) -> None:
        urls.append(await start(service, settings))

    clients: list[ChatClient] = []
    try:
        async with running(service, begin):
            assert service.failure is None
            opened = Edge(service, urls[0])
            clients = opened.clients
            yield opened
    finally:
        for client in clients:
            await client.disconnect()


class ChatClient:
    """A student's client: the standard library, with a memory."""

    def __init__(self, up: str, **options: Any) -> None:
        self.up = up
        self.messages: list[dict[str, Any]] = []
        self.joined: dict[str, dict[str, Any]] = {}
        self.left: list[str] = []
        self.refused: list[dict[str, Any]] = []
        self.connect_error: Any = None
        self.disconnects = 0
        self._io = socketio.AsyncClient(reconnection=False, **options)
        self._io.on("chat message", self.messages.append)
        self._io.on("joined", lambda data: self.joined.update(data["rooms"]))
        self._io.on("left", lambda data: self.left.append(data["room"]))
        self._io.on("refused", self.refused.append)
        self._io.on("connect_error", self._on_connect_error)
        self._io.on("disconnect", self._on_disconnect)

    async def connect(
        self, edge: Edge, *, since: Mapping[str, int] | None = None, auth: Any = None, **options: Any
    ) -> Self:
        """Connect; the token is this user's own unless ``auth`` says otherwise."""
        edge.clients.append(self)
        auth = auth or {"token": token(self.up), **({"since": since} if since is not None else {})}
        await self._io.connect(edge.url, auth=auth, **{"wait_timeout": DEADLINE_S, **options})
        return self

    def hear(self, event: str, take: Callable[[Any], None]) -> None:
        """Give one kind of event to ``take``."""
        self._io.on(event, take)

    async def call(self, event: str, payload: Any = None) -> Any:
        """Send an event and return its ack."""
        return await self._io.call(event, payload, timeout=60)

    async def emit(self, event: str, payload: Any = None) -> None:
        """Send an event that asks for no ack."""
        await self._io.emit(event, payload)

    async def say(self, room: str, text: str, **more: Any) -> Any:
        """Send a chat message and return its ack."""
        payload = {"message": text, "up": self.up, "room": room, "timestamp": 1_700_000_000_000}
        return await self.call("chat message", {**payload, **more})

    async def send_raw(self, text: str) -> None:
        """Send a websocket text frame as it is."""
        await self._io.eio.ws.send_str(text)

    async def got(self, *texts: str) -> None:
        """Wait until exactly these messages have come, in this order."""
        await eventually(f"{len(texts)} messages, got {self.texts}", lambda: len(self.texts) >= len(texts))
        assert self.texts == list(texts)

    def stop_reading(self) -> None:
        """Read nothing any more, as a client does whose machine hangs."""
        self._io.eio.ws._response.connection.transport.pause_reading()

    async def has(self, count: int) -> None:
        """Wait until so many messages have come."""
        await eventually(f"{count} messages", lambda: len(self.messages) >= count)

    async def heard(self, text: str) -> None:
        """Wait until this was the last thing said."""
        await eventually(f"{text!r}, last is {self.texts[-1:]}", lambda: self.texts[-1:] == [text])

    @property
    def texts(self) -> list[str]:
        """What was said, in the order in which it came."""
        return [message["message"] for message in self.messages]

    @property
    def transport(self) -> str:
        """The transport that is in use now."""
        return str(self._io.transport())

    async def disconnect(self) -> None:
        """Go."""
        await self._io.disconnect()

    def _on_connect_error(self, data: Any) -> None:
        self.connect_error = data

    def _on_disconnect(self, _reason: str) -> None:
        self.disconnects += 1


async def ready(log: Log, group: str, client: ChatClient, edge: Edge, **options: Any) -> ChatClient:
    """Make a client a member of ``group``, connect it, and wait until it is in the room."""
    await log.join(group, client.up)
    await client.connect(edge, **options)
    await eventually(f"{client.up} is in {group}", lambda: group in client.joined)
    return client

"""An edge, put together from its production parts as its own ``app.py`` does it, over simulated I/O."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import orjson
from engineio import packet as eio_packet
from socketio.exceptions import ConnectionRefusedError as Rejected

from edge_server.clients import Client
from edge_server.delivery import Delivery
from edge_server.drain import Drain
from edge_server.elsewhere import Elsewhere
from edge_server.fan_out import FanOut
from edge_server.handshake import Handshake, Joining
from edge_server.moving import Moving
from edge_server.presence import Presence
from edge_server.publish import Publisher
from edge_server.recent_log import RecentLog
from edge_server.rooms import Rooms
from edge_server.sessions import Sessions
from edge_server.settings import EdgeSettings
from edge_server.socket_events import SocketEvents
from edge_server.status_report import StatusReport
from runtime.assignments import Assignments
from runtime.memberships import Memberships
from runtime.tokens import Identity
from schemas import topics
from tests.simulation.network import EngineSocket, Pipe, Transport, texts_of
from tests.simulation.process import Process
from tests.simulation.simulated_log import PARTITIONS, SimulatedLog
from tests.simulation.simulated_producer import KeptSimulatedProducer
from tests.simulation.simulated_readers import SimulatedLogReader

NEVER: Final = 1e12
NOTICED_WITHIN_S: Final = 1.0
"""An end may believe for so long that a connection is still there."""

SETTINGS: Final = EdgeSettings(
    kafka_partitions=PARTITIONS,
    report_every_ms=500,
    settle_on_stop_ms=500,
    drain_deadline_s=2.0,
    move_within_s=1.0,
    max_buffered_bytes=65_536,
    log_dir="",
)
Event = tuple[int, str, Mapping[str, Any]]
"""The number of the ack that is asked for, the event's name, its payload."""


class SimulatedEdge:
    """An edge and its clients' connections."""

    def __init__(self, process: Process, log: SimulatedLog, *, window_records: int) -> None:
        self.process = process
        self.settings = SETTINGS.model_copy(
            update={"edge_name": process.name, "window_records": window_records}
        )
        self.url = f"http://{process.name}"
        self.rooms = Rooms()
        self.memberships = Memberships()
        self.accepting = False
        self._log = log
        self._server = SocketServer()
        self._connections: dict[str, Connection] = {}
        self._numbers = 0
        process.on_death = self._die

    async def run(self) -> None:
        """Start every part, in the order of a message's way."""
        settings, process = self.settings, self.process
        service: Any = process
        window = RecentLog(max_bytes=settings.window_bytes, max_records=settings.window_records)
        fan_out = FanOut(self.rooms)
        delivery = Delivery(
            self.rooms,
            window,
            fan_out,
            starts=lambda partition: messages.starts[partition],
            sure_from=lambda partition: messages.sure_from[partition],
        )
        follow = partial(SimulatedLogReader, self._log, process, settings)
        messages = follow(topics.MESSAGES, delivery.take, tail=settings.window_records // PARTITIONS)
        members = follow(topics.MEMBERSHIPS, self.memberships.take)
        assignments = Assignments()
        tables = follow(topics.ASSIGNMENTS, assignments.take)
        producer = KeptSimulatedProducer(self._log, process, settings)
        process.supervise("producer", producer.run)
        await producer.ready()
        self.publisher = Publisher(settings, producer, delivery, window)
        self.publisher.start(service)
        presence = Presence(settings, producer)
        presence.start(service)
        await tables.start(service)
        await members.start(service)
        await messages.start(service)
        joining = Joining(settings, self.rooms, window, delivery, fan_out, self.memberships)
        server: Any = self._server
        handshake = Handshake(settings, Tokens())  # type: ignore[arg-type]
        elsewhere = Elsewhere(process.name, assignments)
        self.sessions = Sessions(server, self.rooms, handshake, joining, presence, elsewhere, capacity=100)
        self.sessions.start(service)
        fan_out.on_slow(self.sessions.close_slow)
        self.drain = Drain(elsewhere, self.rooms)
        moving = Moving(settings, self.rooms, elsewhere, self.drain, self.sessions.close)
        self.sessions.on_welcome(moving.look_at)
        process.supervise("move clients", moving.run)
        SocketEvents(
            settings, self.rooms, self.memberships, joining, self.publisher, presence, self.sessions.close
        ).start(server)
        self.report = StatusReport(settings, self.url, producer, self.rooms, self.drain, lambda: 0.0)
        process.supervise("report status", self.report.run)
        self.accepting = True

    async def stop(self) -> None:
        """Stop in order, as on SIGTERM."""
        self.drain.begin(self.settings.drain_deadline_s)
        await self.report.report()
        await self.drain.until_empty()
        await self.report.stopped()
        self.accepting = False
        await self.publisher.drain(self.settings.settle_on_stop_ms / 1000)
        await self.sessions.close_all("stopping")
        await asyncio.sleep(NOTICED_WITHIN_S)
        self.process.kill()

    async def connect(self, connection: "Connection", auth: Mapping[str, Any]) -> bool:
        """Accept a connection, or not."""
        await asyncio.sleep(self.process.chance.delay())
        if not (self.accepting and self.process.alive):
            return False
        self._numbers += 1
        sid = f"{self.process.name}/{self._numbers}"
        is_direct = self.process.chance.random.random() < 0.5
        socket = EngineSocket(Transport(connection.to_client), upgraded=is_direct)
        self._server.eio.sockets[sid] = socket
        self._connections[sid] = connection
        connection.belongs_to(self, sid)
        self.process.spawn(socket.write_packets())
        try:
            await self._server.handlers["connect"](sid, {}, auth)
        except Rejected:
            connection.cut()
            return False
        return True

    def take(self, sid: str, event: Event) -> None:
        """Take an event of a client, and answer it."""
        socket = self._server.eio.sockets.get(sid)
        if self.process.alive and socket is not None:
            socket.upgraded = True
            client = socket.framed_websocket.client
            if client is None or not self._server.take(client, text_of(event)):
                self.process.spawn(self._answer(sid, socket, *event))

    async def _answer(
        self, sid: str, socket: EngineSocket, number: int, name: str, payload: Mapping[str, Any]
    ) -> None:
        answer = await self._server.handlers[name](sid, payload)
        text = f"3{number}{orjson.dumps([answer]).decode()}"
        socket.queue.put_nowait(eio_packet.Packet(eio_packet.MESSAGE, text))

    def lost(self, sid: str) -> None:
        """Notice that a connection is gone."""
        self._connections.pop(sid, None)
        if self.process.alive and self._server.eio.sockets.pop(sid, None) is not None:
            self.process.spawn(self._server.handlers["disconnect"](sid, "transport close"))

    def _die(self) -> None:
        for connection in tuple(self._connections.values()):
            connection.cut()


def text_of(event: Event) -> str:
    """Return an event as its frame's text."""
    number, name, payload = event
    return f"42{number}{orjson.dumps([name, payload]).decode()}"


class Tokens:
    """Believes everybody: a token is the UP number itself."""

    def verify(self, token: str) -> Identity:
        return Identity(token, NEVER)


class SocketServer:
    """What an edge asks of python-socketio: handlers by name, and the engine.io socket of a session."""

    def __init__(self) -> None:
        self.handlers: dict[str, Callable[..., Any]] = {}
        self.sockets: dict[str, EngineSocket] = {}
        self.take: Callable[[Client, str], bool]
        self.eio = self
        self.manager = self

    def on(self, name: str, handler: Callable[..., Awaitable[Any]]) -> None:
        self.handlers[name] = handler

    def eio_sid_from_sid(self, sid: str, _namespace: str) -> str:
        return sid

    async def disconnect(self, sid: str) -> None:
        if self.sockets.pop(sid, None) is not None:
            await self.handlers["disconnect"](sid, "server disconnect")


class Connection:
    """A client's connection. Either end may learn late that it is gone."""

    def __init__(self, process: Process, on_text: Callable[[str], None], on_lost: Callable[[], None]) -> None:
        self._chance = process.chance
        self._on_text = on_text
        self._on_lost = on_lost
        self._edge: SimulatedEdge | None = None
        self._sid = ""
        self._is_lost = False
        self.to_client = Pipe(self._chance, self._receive)
        self.to_edge = Pipe(self._chance, self._take)

    def belongs_to(self, edge: SimulatedEdge, sid: str) -> None:
        """Lead to a session."""
        self._edge, self._sid = edge, sid

    def cut(self) -> None:
        """Lose the connection: nothing more arrives at either end."""
        if self.to_edge.cut:
            return
        self.to_edge.cut = self.to_client.cut = True
        loop = asyncio.get_running_loop()
        loop.call_later(self._chance.random.uniform(0, NOTICED_WITHIN_S), self._client_notices)
        if self._edge is not None:
            loop.call_later(self._chance.random.uniform(0, NOTICED_WITHIN_S), self._edge.lost, self._sid)

    def _client_notices(self) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._on_lost()

    def _receive(self, data: bytes | None) -> None:
        if data is None:
            self.cut()
            return self._client_notices()
        for text in texts_of(data):
            if not self._is_lost:
                self._on_text(text)
        return None

    def _take(self, event: Event) -> None:
        if self._edge is not None:
            self._edge.take(self._sid, event)

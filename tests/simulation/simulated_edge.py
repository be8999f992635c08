"""An edge: its own parts over simulated I/O."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final, NamedTuple

from pydantic import SecretStr
from socketio.exceptions import ConnectionRefusedError as NotLetIn

from edge_server.parts import Parts
from edge_server.recent_log import Entry, RecentLog
from edge_server.settings import EdgeSettings
from runtime.settings import MIN_SECRET_BYTES
from runtime.tokens import Identity
from tests.simulation.edge_sockets import EngineSocket, SocketServer
from tests.simulation.network import Pipe, Transport, texts_of
from tests.simulation.process import Process
from tests.simulation.simulated_log import PARTITIONS, SimulatedLog
from tests.simulation.simulated_producer import KeptSimulatedProducer
from tests.simulation.simulated_readers import SimulatedLogReader

NEVER: Final = 1e12
NOTICED_WITHIN_S: Final = 1.0
"""An end may believe for so long that a connection is still there."""

SETTINGS: Final = EdgeSettings(
    kafka_partitions=PARTITIONS,
    settle_on_stop_ms=500,
    drain_deadline_s=2.0,
    move_within_s=1.0,
    max_buffered_bytes=65_536,
    log_dir="",
    token_secret=SecretStr("x" * MIN_SECRET_BYTES),
)


class Limits(NamedTuple):
    """How much an edge takes before it refuses, by its settings, and how many rounds of writing it makes."""

    settings: Mapping[str, int]
    rounds_per_s: float


class WatchedWindow(RecentLog):
    """A window that adds to ``forgotten`` the keys of messages whose retry came after they had left it.

    It counts turns as this edge gave them: all that one partition lags behind may come between two records
    that stand close to each other in another.
    """

    def __init__(self, settings: EdgeSettings, forgotten: set[bytes]) -> None:
        super().__init__(max_bytes=settings.window_bytes, max_records=settings.window_records)
        self._forgotten = forgotten
        self._turns = 0
        self._first: dict[bytes, int] = {}

    def add(self, entry: Entry) -> Entry:
        """Remember an entry, and when its message had its first turn."""
        self._turns += 1
        if self._turns - self._first.setdefault(entry.key, self._turns) > self._max_records:
            self._forgotten.add(entry.key)
        return super().add(entry)


class SimulatedEdge:
    """An edge and its clients' connections."""

    def __init__(self, process: Process, log: SimulatedLog, limits: Limits, forgotten: set[bytes]) -> None:
        self.process = process
        self.settings = SETTINGS.model_copy(update={"edge_name": process.name, **limits.settings})
        self.url = f"http://{process.name}"
        self.accepting = False
        self._server = SocketServer(process)
        self._connections: dict[str, Connection] = {}
        self._numbers = 0
        process.on_death = self._die
        server: Any = self._server
        tokens: Any = Tokens()
        self.parts = Parts(
            self.settings,
            server,
            tokens,
            KeptSimulatedProducer(log, process, self.settings),
            WatchedWindow(self.settings, forgotten),
            reader=partial(SimulatedLogReader, log, process),
            rounds_per_s=limits.rounds_per_s,
        )

    async def run(self) -> None:
        """Start every part."""
        service: Any = self.process
        await self.parts.start(service)
        self.parts.announce(service, self.url)
        self.accepting = True

    async def stop(self) -> None:
        """Stop in order, as on SIGTERM."""
        await self.process.resources.aclose()
        self.accepting = False
        await asyncio.sleep(NOTICED_WITHIN_S)
        self.process.kill()

    async def connect(self, connection: "Connection", auth: Mapping[str, Any]) -> bool:
        """Accept a connection, or not."""
        await asyncio.sleep(self.process.chance.delay())
        if not (self.accepting and self.process.alive):
            return False
        self._numbers += 1
        sid = f"{self.process.name}/{self._numbers}"
        server, transport = self._server, connection.transport
        polls = self.process.chance.random.random() < 0.5
        socket = EngineSocket(sid, transport, server, self.settings, polls=polls)
        server.sockets[sid] = socket
        self._connections[sid] = connection
        connection.belongs_to(self, sid, socket)
        try:
            await server.handlers["connect"](sid, {}, auth)
        except NotLetIn:
            connection.cut()
            return False
        return True

    def lost(self, sid: str) -> None:
        """Notice that a connection is gone."""
        self._connections.pop(sid).socket.lost()

    def _die(self) -> None:
        for connection in tuple(self._connections.values()):
            connection.cut()


class Tokens:
    """Believes everybody: a token is the UP number itself."""

    def verify(self, token: str) -> Identity:
        return Identity(token, NEVER)


class Connection:
    """A client's connection. Either end may learn late that it is gone."""

    def __init__(self, process: Process, on_text: Callable[[str], None], on_lost: Callable[[], None]) -> None:
        self._chance = process.chance
        self._on_text = on_text
        self._on_lost = on_lost
        self._edge: SimulatedEdge | None = None
        self._sid = ""
        self._is_lost = False
        self.socket: EngineSocket
        self.to_client = Pipe(self._chance, self._receive)
        self.to_edge = Pipe(self._chance, self._take)
        self.transport = Transport(self.to_client, self.to_edge, self.cut)

    def belongs_to(self, edge: SimulatedEdge, sid: str, socket: EngineSocket) -> None:
        """Lead to a session."""
        self._edge, self._sid, self.socket = edge, sid, socket

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

    def _receive(self, pieces: Sequence[bytes | None]) -> None:
        for text in chain.from_iterable(map(texts_of, pieces)):
            if text is None:
                self.cut()
                self._client_notices()
            elif not self._is_lost:
                self._on_text(text)

    def _take(self, texts: Sequence[str]) -> None:
        if self._edge is not None and self._edge.process.alive:
            self.socket.take(texts)

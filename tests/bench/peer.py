"""Two edges and the broker, beside nodes of centrifuge that keep nothing: as many students say as much.

An ack of ours says that a message is durable, one of the peer's that it is being sent. Needs Go, and is run
only where it is asked for (``--only peer``).
"""

import asyncio
import shutil
from collections.abc import Sequence
from itertools import count
from typing import cast
from urllib.parse import urlsplit

import orjson

from deploy.local.ports import HOST, free_ports
from loadtest.websocket import Handshake, client_frame
from tests.bench import centrifuge
from tests.bench.loaded import LOADS, MEMBERS, EdgesTalk, Load, Member, Talk
from tests.bench.processes import Rig, Server, Size
from tests.bench.rounds import compare
from tests.bench.socket_clients import AT_ONCE, message_of
from tests.bench.table import Row

PATH = "/connection/websocket"
CONNECTED_WITHIN_S = 30.0


class Connecting(asyncio.Protocol):
    """A connection until the node has let it into its channel."""

    def __init__(self, url: str, user: str, channel: str) -> None:
        self.connected = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport
        self._handshake = Handshake(urlsplit(url), PATH)
        self._hello = {"id": 1, "connect": {"data": {"user": user, "channel": channel}}}
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the websocket."""
        # uvloop's transports are no subclass of asyncio's.
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._handshake.request)

    def data_received(self, data: bytes) -> None:
        """Ask for the channel when there is a websocket, and look for the answer."""
        before, self._read = self._read, self._read + data
        head, end, rest = self._read.partition(b"\r\n\r\n")
        if end and end not in before:
            self._handshake.check(head)
            self.transport.write(client_frame(orjson.dumps(self._hello)))
        if b'"connect":{' in rest and not self.connected.done():
            self.connected.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so to whoever waits."""
        if not self.connected.done():
            self.connected.set_exception(exc or ConnectionError("the node closed the connection"))


class NodesTalk(Talk):
    """Students of some nodes, of each group as many on either."""

    def __init__(self, nodes: Sequence[Server], load: Load, more_pids: Sequence[int] = ()) -> None:
        super().__init__(load, [*(node.pid for node in nodes), *more_pids])
        self._nodes = nodes
        self._transports: list[asyncio.Transport] = []
        self._numbers = count(2)

    async def begin(self) -> None:
        """Let them connect, some at a time."""
        for first in range(0, self._load.students, AT_ONCE):
            some = range(first, min(first + AT_ONCE, self._load.students))
            self._transports += await asyncio.gather(*map(self._connect, some))

    async def _connect(self, student: int) -> asyncio.Transport:
        node = self._nodes[student % len(self._nodes)]
        user, channel = f"up{student:09d}", self._groups[student // MEMBERS]
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECTED_WITHIN_S):
            _, connecting = await loop.create_connection(
                lambda: Connecting(node.url, user, channel), HOST, node.port
            )
            await connecting.connected
        connecting.transport.set_protocol(Member(self._meter, begins=b'{"push"', ends=b"}"))
        return connecting.transport

    def end(self) -> None:
        """Let them go."""
        for transport in self._transports:
            transport.abort()

    def say(self, student: int, text: str) -> None:
        """Let one of them say something."""
        group = self._groups[student // MEMBERS]
        message = message_of(f"up{student:09d}", group, text)
        said = {"id": next(self._numbers), "publish": {"channel": group, "data": message}}
        self._transports[student].write(client_frame(orjson.dumps(said)))


async def run(rig: Rig, size: Size) -> list[Row]:
    """Compare with one node, and with two over Redis where that is here."""
    if shutil.which("go") is None:
        print("there is no Go here: ", end="", flush=True)
        return []
    centrifuge.build()
    edges = [await rig.edge("edge-one"), await rig.edge("edge-other")]
    rows = await _beside(rig, edges, size, "one node", [await rig.reference("centrifuge")])
    if shutil.which("redis-server"):
        (port,) = free_ports(1)
        redis = await rig.program(port, "redis-server", "--port", str(port), "--save", "")
        nodes = [await rig.reference("centrifuge", REDIS=f"{HOST}:{port}") for _ in range(2)]
        rows += await _beside(rig, edges, size, "two over Redis", nodes, [redis])
    return rows


async def _beside(
    rig: Rig,
    edges: Sequence[Server],
    size: Size,
    name: str,
    nodes: Sequence[Server],
    pids: Sequence[int] = (),
) -> list[Row]:
    """Compare with some nodes, with many who say little and with fewer who say more."""
    rows: list[Row] = []
    for whole in LOADS:
        load = whole.of(size)
        ours, peer = EdgesTalk(edges, load, rig.broker_pids), NodesTalk(nodes, load, pids)
        await ours.begin()
        await peer.begin()
        compared = await compare(size.rounds, ours.measure, peer.measure)
        ours.end()
        peer.end()
        rows += [
            compared.row(f"{name}: CPU of all servers a delivery, {load.name}", "cpu_us", "µs"),
            compared.row(f"{name}: send → deliver, {load.name}, p50", "p50", "ms"),
            compared.row(f"{name}: send → deliver, {load.name}, p99", "p99", "ms"),
        ]
    return rows

"""CPU a delivery: one message to a room of many members, by the edge, python-socketio, and bare writes.

The members live in this process and only count bytes. What a server uses in a round is all counted, with the
message's way in and whatever else it does meanwhile; nothing is subtracted.
"""

import asyncio

from deploy.local.ports import HOST
from edge_server.frames import message_frame
from loadtest.server_side import cpu_s
from loadtest.websocket import WHOLE_TEXT
from tests.bench.processes import Rig, Server, Size
from tests.bench.rounds import Figures, compare
from tests.bench.socket_clients import TEXT, Student, connect_all, require_ack, until
from tests.bench.table import Row
from tests.frame_reader import FrameReader
from tests.integration.backing import new_group, open_log

MEMBERS = 1_000
PER_S = 10
BURST = 16
FRAME_BYTES = len(
    message_frame(
        id="bench-0000000000", seq=100_000, room="g" * 14, up="up000000000", message=TEXT,
        timestamp=1_700_000_000_000, sent_at=1_700_000_000_000,
    )
)  # fmt: skip


class Counter(asyncio.Protocol):
    """Takes over the connections of all other members, and counts their bytes."""

    def __init__(self) -> None:
        self.received = 0

    def data_received(self, data: bytes) -> None:
        """Count."""
        self.received += len(data)


class Witness(asyncio.Protocol):
    """Takes over one member's connection and reads frames: each of the others must have got the same."""

    def __init__(self) -> None:
        self.received = 0
        self.frames = 0
        self._reader = FrameReader()

    def data_received(self, data: bytes) -> None:
        """Count bytes and whole frames."""
        self.received += len(data)
        self.frames += sum(first == WHOLE_TEXT for first, _ in self._reader.feed(data))


class Crowd:
    """A room's members on one server: a sender, a witness, and all others."""

    def __init__(self, server: Server, group: str, members: int) -> None:
        self._server = server
        self._group = group
        self._students = [Student(f"up{n:09d}", [group]) for n in range(members)]
        self._witness = Witness()
        self._counter = Counter()

    @property
    def ups(self) -> list[str]:
        """The members' numbers."""
        return [student.up for student in self._students]

    async def connect(self) -> None:
        """Connect all, and let the others be read cheaply from now on."""
        await connect_all(self._server.url, self._students)
        _, witness, *others = self._students
        witness.connection._transport.set_protocol(self._witness)
        for other in others:
            other.connection._transport.set_protocol(self._counter)

    async def paced(self, messages: int, per_s: float = PER_S) -> Figures:
        """Send one message at a time, in an even rhythm, and the next one not before everybody has it."""
        return await self._measure(messages, 1, 1 / per_s)

    async def one_by_one(self, messages: int) -> Figures:
        """Send a message when everybody has got the one before."""
        return await self._measure(messages, 1, 0.0)

    async def in_bursts(self, messages: int) -> Figures:
        """Send several messages at once, and the next ones when everybody has got them."""
        return await self._measure(messages, BURST, 0.0)

    async def idle(self, seconds: float) -> float:
        """Return which share of a core the server uses while nothing is sent."""
        before = cpu_s(self._server.pid)
        await asyncio.sleep(seconds)
        return (cpu_s(self._server.pid) - before) / seconds

    async def _measure(self, messages: int, burst: int, pause_s: float) -> Figures:
        loop = asyncio.get_running_loop()
        before, started = cpu_s(self._server.pid), loop.time()
        for n in range(messages // burst):
            await asyncio.sleep(max(0.0, started + n * pause_s - loop.time()))
            await self._send(burst)
        used, took = cpu_s(self._server.pid) - before, loop.time() - started
        deliveries = messages // burst * burst * len(self._students)
        return {"cpu_us": used / deliveries * 1e6, "per_s": deliveries / took}

    async def _send(self, burst: int) -> None:
        """Send messages and wait until all members have them: all get the same bytes."""
        sender = self._students[0]
        self._witness.received = self._witness.frames = self._counter.received = 0
        for _ in range(burst):
            sender.say(self._group, require_ack)
        others = len(self._students) - 2

        def all_have_all() -> bool:
            return self._witness.frames == burst and (
                self._counter.received == self._witness.received * others
            )

        await until(all_have_all, [sender])


class BareCrowd(Crowd):
    """As many connections to the bare write loop, which writes as many bytes as a message's frame has."""

    def __init__(self, server: Server, members: int) -> None:
        super().__init__(server, "", members)
        self._transport: asyncio.WriteTransport

    async def connect(self) -> None:
        """Connect all, by TCP alone."""
        loop = asyncio.get_running_loop()
        for _ in self._students:
            self._transport, _ = await loop.create_connection(lambda: self._counter, HOST, self._server.port)

    async def _send(self, burst: int) -> None:
        """Ask for the bytes of a burst and wait until all members have them."""
        self._counter.received, size = 0, burst * FRAME_BYTES
        self._transport.write(size.to_bytes(4, "big"))
        await until(lambda: self._counter.received == size * len(self._students), [])


async def run(rig: Rig, size: Size) -> list[Row]:
    """Compare both servers."""
    group, members = new_group(), size.of(MEMBERS)
    reference = Crowd(await rig.reference("reference_socketio"), group, members)
    async with open_log() as log:
        await log.join(group, *reference.ups)
    ours = Crowd(await rig.edge("edge-fan-out"), group, members)
    await ours.connect()
    await reference.connect()
    paced = await compare(
        size.rounds, lambda: ours.paced(size.of(3 * PER_S)), lambda: reference.paced(size.of(2 * PER_S))
    )
    one_by_one = await compare(size.rounds, lambda: ours.one_by_one(60), lambda: reference.one_by_one(12))
    bursts = await compare(
        size.rounds, lambda: ours.in_bursts(10 * BURST), lambda: reference.in_bursts(2 * BURST)
    )
    bare = BareCrowd(await rig.reference("reference_writes"), members)
    await bare.connect()
    bare_paced = await compare(
        size.rounds, lambda: ours.paced(size.of(2 * PER_S)), lambda: bare.paced(size.of(2 * PER_S))
    )
    bare_bursts = await compare(
        size.rounds, lambda: ours.in_bursts(10 * BURST), lambda: bare.in_bursts(10 * BURST)
    )
    idle = Row(f"edge with {members} members, idle", "% of a core", "lower", 100 * await ours.idle(2.0))
    return [
        paced.row(f"CPU a delivery, {members} members, {PER_S} messages/s", "cpu_us", "µs"),
        one_by_one.row(f"CPU a delivery, {members} members, one by one", "cpu_us", "µs"),
        bursts.row(f"CPU a delivery, {members} members, bursts of {BURST}", "cpu_us", "µs"),
        bursts.row(f"deliveries, bursts of {BURST}", "per_s", "1/s", better="higher"),
        bare_paced.row(f"the same beside a bare write loop, {PER_S} messages/s", "cpu_us", "µs"),
        bare_bursts.row(f"the same beside a bare write loop, bursts of {BURST}", "cpu_us", "µs"),
        idle,
    ]

"""CPU a connect, with its token and its rooms, and the memory that 10 000 idle connections keep.

By websocket alone, and as the usual clients do: by polling, and then over to a websocket. The reference is
python-socketio alone, which checks no token.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import product
from typing import Final

from aiohttp import ClientSession, TCPConnector

from loadtest.server_side import cpu_s, resident_bytes
from tests.bench.polling_students import PollingStudent
from tests.bench.processes import Rig, Server, Size
from tests.bench.rounds import Figures, compare
from tests.bench.socket_clients import AT_ONCE, Student, all_of, connect_all
from tests.bench.table import Row
from tests.integration.backing import new_group, open_log

CONNECTIONS = 1_500
IDLE = 10_000
COME_OVER = 3_000
ROOMS = 5
REST_S = 0.5

Connected = Callable[[str, Sequence[str], Sequence[str]], AbstractAsyncContextManager[None]]


def batched(ups: Sequence[str]) -> list[Sequence[str]]:
    """Return them in parts that the producer takes at once."""
    return [ups[n : n + 1_000] for n in range(0, len(ups), 1_000)]


@asynccontextmanager
async def by_websocket(url: str, ups: Sequence[str], rooms: Sequence[str]) -> AsyncIterator[None]:
    """Students with nothing but a websocket."""
    students = [Student(up, rooms) for up in ups]
    await connect_all(url, students)
    yield
    for student in students:
        student.connection.close()


@asynccontextmanager
async def come_over(url: str, ups: Sequence[str], rooms: Sequence[str]) -> AsyncIterator[None]:
    """Students who begin by polling."""
    async with (
        ClientSession(connector=TCPConnector(limit=AT_ONCE)) as polls,
        ClientSession(connector=TCPConnector(limit=0)) as websockets,
    ):
        students = [PollingStudent(up, rooms) for up in ups]
        await all_of(student.connect(polls, websockets, url) for student in students)
        yield
        await all_of(student.close() for student in students)


WAYS: Final = (("by websocket", by_websocket, IDLE), ("by polling, with upgrade", come_over, COME_OVER))


class Crowd:
    """Many students of one server, who come together and go together."""

    def __init__(
        self, server: Server, connected: Connected, ups: Sequence[str], rooms: Sequence[str]
    ) -> None:
        self._server = server
        self._connected = connected
        self._ups = ups
        self._rooms = rooms

    async def come_and_go(self) -> Figures:
        """Connect all, and let them go."""
        memory, before = resident_bytes(self._server.pid), cpu_s(self._server.pid)
        async with self._connected(self._server.url, self._ups, self._rooms):
            used = cpu_s(self._server.pid) - before
            await asyncio.sleep(REST_S)
            grown = resident_bytes(self._server.pid) - memory
        await asyncio.sleep(REST_S)
        return {"cpu_ms": used / len(self._ups) * 1e3, "kib": grown / len(self._ups) / 1024}


async def run(rig: Rig, size: Size) -> list[Row]:
    """Compare both servers. Memory counts while they are fresh: later crowds use it again."""
    rooms = [new_group() for _ in range(ROOMS)]
    ups = [f"up{n:09d}" for n in range(size.of(IDLE))]
    async with open_log() as log:
        for room, some in product(rooms, batched(ups)):
            await asyncio.gather(*(log.join(room, up) for up in some))
    rows = []
    for how, connected, idle in WAYS:
        edge, alone = await rig.edge("edge-connect"), await rig.reference("reference_socketio")
        here, some = ups[: size.of(idle)], ups[: size.of(CONNECTIONS)]
        mine = (await Crowd(edge, connected, here, rooms).come_and_go())["kib"]
        theirs = (await Crowd(alone, connected, here, rooms).come_and_go())["kib"]
        compared = await compare(
            size.rounds,
            Crowd(edge, connected, some, rooms).come_and_go,
            Crowd(alone, connected, some, rooms).come_and_go,
        )
        rows += [
            compared.row(f"CPU a connect {how}", "cpu_ms", "ms"),
            Row(f"memory an idle connection {how}, {len(here):,} of them", "KiB", "lower", mine, theirs),
        ]
    return rows

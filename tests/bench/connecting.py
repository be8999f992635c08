"""CPU a connect by websocket, with its token and its rooms, and the memory that 10 000 idle connections keep.

The reference is python-socketio alone, which checks no token.
"""

import asyncio
import os
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from tests.bench.processes import Rig, Server, Size, cpu_s
from tests.bench.rounds import Figures, compare
from tests.bench.socket_clients import Student, connect_all
from tests.bench.table import Row
from tests.integration.backing import new_group, open_log

CONNECTIONS = 1_500
IDLE = 10_000
ROOMS = 5
REST_S = 0.5
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def batched(ups: Sequence[str]) -> list[Sequence[str]]:
    """Return as many at a time as the producer takes at once."""
    return [ups[n : n + 1_000] for n in range(0, len(ups), 1_000)]


class Crowd:
    """Many students of one server, who come together and go together."""

    def __init__(self, server: Server, ups: Sequence[str], rooms: Sequence[str]) -> None:
        self._server = server
        self._ups = ups
        self._rooms = rooms

    async def come_and_go(self) -> Figures:
        """Connect all, and let them go."""
        students = [Student(up, self._rooms) for up in self._ups]
        memory, before = resident_bytes(self._server.pid), cpu_s(self._server.pid)
        await connect_all(self._server.url, students)
        used = cpu_s(self._server.pid) - before
        await asyncio.sleep(REST_S)
        grown = resident_bytes(self._server.pid) - memory
        for student in students:
            student.connection.close()
        await asyncio.sleep(REST_S)
        return {"cpu_ms": used / len(students) * 1e3, "kib": grown / len(students) / 1024}


async def run(rig: Rig, size: Size) -> list[Row]:
    """Compare both servers. Memory counts while they are fresh: later crowds use it again."""
    rooms = [new_group() for _ in range(ROOMS)]
    ups = [f"up{n:09d}" for n in range(size.of(IDLE))]
    async with open_log() as log:
        for room, some in product(rooms, batched(ups)):
            await asyncio.gather(*(log.join(room, up) for up in some))
    edge, alone = await rig.edge("edge-connect"), await rig.reference("reference_socketio")
    mine = (await Crowd(edge, ups, rooms).come_and_go())["kib"]
    theirs = (await Crowd(alone, ups, rooms).come_and_go())["kib"]
    some = ups[: size.of(CONNECTIONS)]
    compared = await compare(
        size.rounds, Crowd(edge, some, rooms).come_and_go, Crowd(alone, some, rooms).come_and_go
    )
    return [
        compared.row("CPU a connect by websocket", "cpu_ms", "ms"),
        Row(f"memory an idle connection, {len(ups):,} of them", "KiB", "lower", mine, theirs),
    ]

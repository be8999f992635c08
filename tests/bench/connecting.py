"""CPU a connect by websocket, with its token and its rooms, and the memory that an idle connection keeps.

The reference is python-socketio alone, which checks no token.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from tests.bench.processes import Rig, Server, Size, cpu_s
from tests.bench.rounds import Figures, compare
from tests.bench.socket_clients import Student, connect_all
from tests.bench.table import Row
from tests.integration.backing import new_group, open_log

CONNECTIONS = 1_500
ROOMS = 5
REST_S = 0.5
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


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
        grown = resident_bytes(self._server.pid) - memory
        for student in students:
            student.connection.close()
        await asyncio.sleep(REST_S)
        return {"cpu_ms": used / len(students) * 1e3, "kib": grown / len(students) / 1024}


async def run(rig: Rig, size: Size) -> list[Row]:
    """Compare both servers. Memory counts in the first round only: later ones use it again."""
    rooms = [new_group() for _ in range(ROOMS)]
    ups = [f"up{n:09d}" for n in range(size.of(CONNECTIONS))]
    async with open_log() as log:
        for room in rooms:
            await log.join(room, *ups)
    ours = Crowd(await rig.edge("edge-connect"), ups, rooms)
    reference = Crowd(await rig.reference("reference_socketio"), ups, rooms)
    mine, theirs = (await ours.come_and_go())["kib"], (await reference.come_and_go())["kib"]
    compared = await compare(size.rounds, ours.come_and_go, reference.come_and_go)
    return [
        compared.row("CPU a connect by websocket", "cpu_ms", "ms"),
        Row("memory an idle connection", "KiB", "lower", mine, theirs),
    ]

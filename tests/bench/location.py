"""``/chat/location`` and an empty aiohttp handler, asked by the same client.

The client shares the machine with the server: requests a CPU second of the server are the fair figure. Once
those ask whose tokens the gateway has just seen, and once students who all come for the first time.
"""

import time
from itertools import count

from loadtest.server_side import cpu_s
from schemas import topics
from schemas.assignments import TABLE_KEY, Shard, TableAssigned
from schemas.log_records import encode
from schemas.up_number import CIRCLE
from tests.bench.http_load import get, load, until_answered
from tests.bench.processes import Rig, Server, Size
from tests.bench.rounds import Figures, compare
from tests.bench.table import Row
from tests.integration.backing import new_group, open_log, token

REQUESTS = 16_000
CONNECTIONS = 32
STUDENTS = 1_000


async def measure(server: Server, requests: list[bytes], total: int) -> Figures:
    """Ask so many times."""
    before, started = cpu_s(server.pid), time.perf_counter()
    await load(server.port, requests, total, CONNECTIONS)
    used, took = cpu_s(server.pid) - before, time.perf_counter() - started
    return {"per_cpu_s": total / used, "per_s": total / took}


async def write_table() -> None:
    """Write a table of one edge, newer than any that may stand in the log."""
    table = TableAssigned(
        epoch=time.time_ns() // 1_000,
        version=1,
        shards=(Shard(start=0, end=CIRCLE, edge="edge-1"),),
        urls={"edge-1": "https://edge-1.chat.example.org"},
    )
    async with open_log() as log:
        await log.write(topics.ASSIGNMENTS, encode(table, key=TABLE_KEY, source="bench"))


def asking(students: int, expires_in_s: float) -> list[bytes]:
    """Return a request of each student. Another time gives other tokens."""
    return [get("/chat/location", token(f"up{n:09d}", expires_in_s=expires_in_s)) for n in range(students)]


async def run(rig: Rig, size: Size) -> list[Row]:
    """Compare both handlers."""
    await write_table()
    ours, reference = await rig.gateway(new_group()), await rig.reference("reference_http")
    total = size.of(REQUESTS)
    known = asking(STUDENTS, 3600)
    lasting = count(3601)
    await until_answered(ours.port, known[0])
    again = await compare(
        size.rounds, lambda: measure(ours, known, total), lambda: measure(reference, known, total)
    )
    first = await compare(
        size.rounds,
        lambda: measure(ours, asking(total, next(lasting)), total),
        lambda: measure(reference, asking(total, next(lasting)), total),
    )
    return [
        again.row("GET /chat/location a core, asked again", "per_cpu_s", "1/CPU s", better="higher"),
        first.row("GET /chat/location a core, asked first", "per_cpu_s", "1/CPU s", better="higher"),
        again.row("GET /chat/location, all on this machine", "per_s", "1/s", better="higher"),
    ]

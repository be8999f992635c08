"""Two edges whose members all talk, beside a bare loop that makes a write of each delivery.

The members live in this process and take of what comes only when it was sent: a generator that counts more
takes a third of this machine for itself, and measures that. The broker's CPU is not counted.
"""

import asyncio
import random
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from loadtest.server_side import cpu_s
from tests.bench.fan_out import BareCrowd
from tests.bench.processes import Rig, Server, Size
from tests.bench.rounds import Figures, compare, percentile
from tests.bench.socket_clients import Student, connect_all, until
from tests.bench.table import Row
from tests.integration.backing import new_group, open_log

MEMBERS = 30
SECONDS = 8.0
TICK_S = 0.002
MOST_KEPT = 4_000

SENT_AT = re.compile(rb"@(\d{16})@")
"""When a message was to be sent, in its text: µs since 1970."""


@dataclass(frozen=True)
class Load:
    """So many students in groups of 30, and what all of them together receive a second."""

    students: int
    deliveries_per_s: int

    @property
    def name(self) -> str:
        """How the table calls it."""
        return f"{self.students:,} online, groups of {MEMBERS}, {self.deliveries_per_s:,}/s"

    def of(self, size: Size) -> "Load":
        """Return this load for a size of run."""
        return Load(MEMBERS * size.of(self.students // MEMBERS), size.of(self.deliveries_per_s))


LOADS = (Load(9_000, 54_000), Load(3_000, 165_000))


class Meter:
    """How late everything came. Members of a room get the same bytes: they are looked through once."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []
        self._known: dict[bytes, Sequence[int]] = {}

    def take(self, data: bytes) -> None:
        """Take what a member has read, no message of it cut."""
        sent = self._known.get(data)
        if sent is None:
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            sent = self._known[data] = [int(at) for at in SENT_AT.findall(data)]
        now = time.time() * 1e6
        self.late_ms += [(now - at) / 1e3 for at in sent]


class Member(asyncio.Protocol):
    """Takes over a connection. What comes of each message ``begins`` and ``ends`` with these bytes."""

    def __init__(self, meter: Meter, begins: bytes, ends: bytes) -> None:
        self._meter = meter
        self._begins = begins
        self._ends = ends
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """Keep the last message where its end, or that of what follows it, is still to come."""
        data, self._rest = self._rest + data, b""
        if not data.endswith(self._ends):
            cut = max(0, data.rfind(self._begins))
            data, self._rest = data[:cut], data[cut:]
        self._meter.take(data)


class Talk(ABC):
    """Students who talk, and how late all hear it. The CPU counts that ``pids`` use."""

    def __init__(self, load: Load, pids: Sequence[int]) -> None:
        self._load = load
        self._pids = pids
        self._groups = [new_group() for _ in range(load.students // MEMBERS)]
        self._meter = Meter()

    @abstractmethod
    async def begin(self) -> None:
        """Let them connect."""

    @abstractmethod
    def end(self) -> None:
        """Let them go."""

    @abstractmethod
    def say(self, student: int, text: str) -> None:
        """Let one of them say something."""

    async def measure(self) -> Figures:
        """Say everything at its moment, whatever has come, and wait until all has."""
        late_ms = self._meter.late_ms = []
        messages_per_s = self._load.deliveries_per_s / MEMBERS
        messages = round(SECONDS * messages_per_s)
        before, started, began = self._cpu_s(), time.monotonic(), time.time()
        said = 0
        while said < messages:
            due = min(messages, int((time.monotonic() - started) * messages_per_s))
            for number in range(said, due):
                planned_us = int((began + number / messages_per_s) * 1e6)
                self.say(random.randrange(self._load.students), f"@{planned_us:016d}@ " + "x" * 63)
            said = due
            await asyncio.sleep(TICK_S)
        used, received = self._cpu_s() - before, len(late_ms)
        await until(lambda: len(late_ms) >= messages * MEMBERS, [])
        return {
            "cpu_us": used / received * 1e6,
            "p50": percentile(late_ms, 0.5),
            "p99": percentile(late_ms, 0.99),
        }

    def _cpu_s(self) -> float:
        return sum(cpu_s(pid) for pid in self._pids)


class EdgesTalk(Talk):
    """Students of two edges, half of each group on either."""

    def __init__(self, edges: Sequence[Server], load: Load, more_pids: Sequence[int] = ()) -> None:
        super().__init__(load, [*(edge.pid for edge in edges), *more_pids])
        self._edges = edges
        self._students = [Student(f"up{n:09d}", [self._groups[n // MEMBERS]]) for n in range(load.students)]

    async def begin(self) -> None:
        """Let them join and connect."""
        async with open_log() as log:
            joining = (
                log.join(group, *(one.up for one in self._students[n * MEMBERS : (n + 1) * MEMBERS]))
                for n, group in enumerate(self._groups)
            )
            await asyncio.gather(*joining)
        for n, edge in enumerate(self._edges):
            await connect_all(edge.url, self._students[n :: len(self._edges)])
        for student in self._students:
            member = Member(self._meter, begins=b'42["', ends=b"]")
            student.connection._transport.set_protocol(member)

    def end(self) -> None:
        """Let them go."""
        for student in self._students:
            student.connection.close()

    def say(self, student: int, text: str) -> None:
        """Let one of them say something."""
        speaker = self._students[student]
        speaker.say(speaker.rooms[0], _not_heard, text=text)


async def run(rig: Rig, size: Size) -> list[Row]:
    """Compare both, with many who say little and with fewer who say more."""
    rows: list[Row] = []
    edges = [await rig.edge("edge-one"), await rig.edge("edge-other")]
    for whole in LOADS:
        load = whole.of(size)
        ours = EdgesTalk(edges, load)
        bare = BareCrowd(await rig.reference("reference_writes"), load.students)
        await ours.begin()
        await bare.connect()
        per_s = load.deliveries_per_s / load.students
        rounds = round(SECONDS * per_s)
        compared = await compare(size.rounds, ours.measure, partial(bare.paced, rounds, per_s))
        ours.end()
        rows.append(compared.row(f"CPU of the edges a delivery, {load.name}", "cpu_us", "µs"))
        for figure in ("p50", "p99"):
            samples = [one[figure] for one in compared.ours]
            row = Row(f"send → deliver, {load.name}, {figure}", "ms", "lower", median(samples), None, samples)
            rows.append(row)
    return rows


def _not_heard(_answer: Any) -> None:
    """Acks come to the connection's new protocol, which looks for messages only."""

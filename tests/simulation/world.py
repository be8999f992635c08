"""One run: the parts are put together, hurt as the seed says, left in peace, and looked at in the end."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from persister.pipeline import Pipeline
from persister.read_records import TOPICS
from schemas import topics
from schemas.documents import PROGRESS, progress_key
from schemas.log_records import DrainAsked, encode
from tests.faults import history as seen
from tests.simulation.chance import Chance
from tests.simulation.process import Process
from tests.simulation.simulated_client import SimulatedClient
from tests.simulation.simulated_dispatcher import DispatchersGroup, SimulatedLeadership
from tests.simulation.simulated_edge import Limits, SimulatedEdge
from tests.simulation.simulated_log import SimulatedLog
from tests.simulation.simulated_loop import SimulatedLoop
from tests.simulation.simulated_producer import SimulatedProducer
from tests.simulation.simulated_readers import Group
from tests.simulation.simulated_services import (
    SimulatedGateway,
    start_persister,
    write_membership,
    write_until_taken,
)
from tests.simulation.storm import GROUPS, storm
from tests.simulation.tables import strays, unsettled_tables
from tests.unit.persister.model_store import ModelStore

PEACE_S: Final = 120.0
QUIET_LOOKS: Final = 4


@dataclass
class World:
    """Everything there is in a run."""

    seed: int
    acks_before_replication: bool = False
    pipeline: type[Pipeline] = Pipeline
    on_trace: Callable[[str], None] | None = None
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = Chance(self.seed)
        rng = self.chance.random
        self.log = SimulatedLog(self.chance, acks_before_replication=self.acks_before_replication)
        self.store = ModelStore()
        self.group = Group()
        self.dispatchers = DispatchersGroup()
        self.window_records = rng.choice((12, 40, 400))
        self.limits = Limits(
            {
                "window_records": self.window_records,
                "max_pending_sends": rng.choice((20_000, 20_000, 4)),
                "refuse_when_waiting_ms": rng.choice((2_000, 300)),
            },
            rounds_per_s=rng.choice((200.0, 5.0)),
        )
        self.forgotten: set[bytes] = set()
        self.edges: dict[str, SimulatedEdge] = {}
        self.gateways: dict[str, SimulatedGateway] = {}
        self.clients: list[SimulatedClient] = []
        self.said: list[seen.Said] = []
        self.processes: dict[str, Process] = {}
        self.memberships: dict[tuple[str, str], seen.Membership] = {}
        self.past_memberships: list[seen.Membership] = []
        registrar = Process("registrar", self.chance, self.trace)
        self._registrar = SimulatedProducer(self.log, registrar)
        self.changing: set[tuple[str, str]] = set()
        """The memberships that are being changed: group and student."""
        self._background: list[asyncio.Task[None]] = []

    def trace(self, line: str) -> None:
        """Say what happens, where somebody wants to know."""
        if self.on_trace is not None:
            self.on_trace(f"{asyncio.get_running_loop().time():9.4f} {line}")

    async def run(self) -> None:
        """Live through the storm, and on until nothing happens any more."""
        self._start()
        await self._found_groups()
        await storm(self)
        self.trace("peace")
        self.chance.calm = True
        try:
            async with asyncio.timeout(PEACE_S):
                await self._settle()
        except TimeoutError:
            self.failures.append(f"never settles: {self.unsettled()}")
            self.failures += [fault for client in self.clients for fault in client.unanswered()]
            self.failures += strays(self)
        self.trace("the end")

    async def _settle(self) -> None:
        quiet = 0
        while quiet < QUIET_LOOKS:
            await asyncio.sleep(0.25)
            quiet = 0 if self.unsettled() else quiet + 1

    def _start(self) -> None:
        rng = self.chance.random
        for n in range(rng.randint(1, 3)):
            self._keep(self._start_edge, f"edge-{n}")
        for n in range(2):
            self._keep(self._start_gateway, f"gateway-{n}")
            self._keep(self._start_dispatcher, f"dispatcher-{n}")
            self._keep(self._start_persister, f"persister-{n}")
        self.in_background(self._expire_sessions())
        for _ in range(rng.randint(2, 4)):
            up = f"up20190{rng.randrange(10**4):04d}"
            for device in range(rng.choice((1, 1, 2))):
                client = SimulatedClient(
                    up, f"{up}/{device}", self.chance, gateways=self._some_gateway, edges=self._edge_at
                )
                self.clients.append(client)
                client.process.spawn(client.run())

    def _keep(self, start: Callable[[Process], None], name: str) -> None:
        """Start a process, and start it again some time after its death."""
        process = self.processes[name] = Process(name, self.chance, self.trace)
        self.trace(f"{name} starts")
        start(process)
        died = process.on_death

        def again() -> None:
            died()
            pause = self.chance.random.uniform(0.1, 2.0)
            asyncio.get_running_loop().call_later(pause, self._keep, start, name)

        process.on_death = again

    def _start_edge(self, process: Process) -> None:
        edge = self.edges[process.name] = SimulatedEdge(process, self.log, self.limits, self.forgotten)
        process.spawn(edge.run())

    def _start_gateway(self, process: Process) -> None:
        self.gateways[process.name] = SimulatedGateway(process, self.log, self.store)

    def _start_dispatcher(self, process: Process) -> None:
        process.spawn(SimulatedLeadership(process, self.log, self.dispatchers).run())

    def _start_persister(self, process: Process) -> None:
        start_persister(process, self.log, self.store, self.group, self.pipeline)

    def _some_gateway(self) -> SimulatedGateway | None:
        alive = [gateway for gateway in self.gateways.values() if gateway.process.alive]
        return self.chance.random.choice(alive) if alive else None

    def _edge_at(self, url: str) -> SimulatedEdge | None:
        return next((edge for edge in self.edges.values() if edge.url == url), None)

    def in_background(self, coroutine: Any) -> None:
        """Let this run beside."""
        self._background.append(asyncio.get_running_loop().create_task(coroutine))

    async def _expire_sessions(self) -> None:
        while True:
            self.group.expire()
            self.dispatchers.expire()
            await asyncio.sleep(0.2)

    async def _found_groups(self) -> None:
        self.chance.calm = True
        students = sorted({client.up for client in self.clients})
        for group in GROUPS:
            for up in students:
                if self.chance.random.random() < 0.7:
                    await self.set_member(group, up, member=True)
        self.chance.calm = False

    async def set_member(self, group: str, up: str, *, member: bool) -> None:
        """Let a student into a group, or out of it."""
        loop = asyncio.get_running_loop()
        if member:
            self.memberships[group, up] = seen.Membership(group, up, loop.time())
        await write_membership(self._registrar, group, up, member=member)
        if not member:
            stay = self.memberships.pop((group, up))
            self.past_memberships.append(stay._replace(until_s=loop.time()))
        self.trace(f"{up} is {'' if member else 'not '}in {group}")

    async def ask_to_drain(self, edge: str, *, drain: bool) -> None:
        """Ask an edge to drain, or no longer, as an operator does."""
        wish = encode(DrainAsked(edge=edge, drain=drain), key="operator", source="operator")
        await write_until_taken(self._registrar, topics.EDGE_STATUS, wish, 1)
        self.trace(f"{edge} is {'' if drain else 'no longer '}asked to drain")

    def unsettled(self) -> str | None:
        """Say what still has to happen; None when nothing has to."""
        for client in self.clients:
            if waits_for := client.unsettled():
                return f"{client.name} waits for {waits_for}"
        if dead := [one.name for one in self.processes.values() if not one.alive]:
            return f"{dead[0]} is dead"
        if self.changing:
            return "memberships change"
        progress = self.store.documents(PROGRESS)
        for tp in self.log.partitions:
            if tp.topic in TOPICS and self.log.end(tp) > 0:
                stored = progress.get(progress_key(tp.topic, tp.partition), {"next": 0})["next"]
                if stored < self.log.end(tp):
                    return f"{tp} is stored up to {stored} of {self.log.end(tp)}"
        return unsettled_tables(self)


async def _end_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=PEACE_S)


def run_seed(seed: int, **options: Any) -> World:
    """Run one seed to its end, and return what became of it. ``options`` are those of `World`."""
    loop = SimulatedLoop()
    # Pauses before retries have jitter from the global generator: it must be the seed's too.
    chance_of_others = random.getstate()
    random.seed(seed)
    logging.disable(logging.CRITICAL)
    try:
        world = World(seed, **options)
        loop.run_until_complete(world.run())
        loop.run_until_complete(_end_all())
        return world
    finally:
        logging.disable(logging.NOTSET)
        random.setstate(chance_of_others)
        loop.close()

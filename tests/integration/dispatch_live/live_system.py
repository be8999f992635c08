"""A system of three small edges and two dispatchers, a crowd that chats, and ballast that fills edges.

With two edges each part that is given away lies beside what its taker holds; with three there are pieces that
come together again. A ballast of silent clients is put where the table says that one edge holds the numbers.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import aiohttp

from deploy.demo.environment import Planned
from deploy.demo.local_system import LocalSystem
from deploy.demo.service_process import ServiceProcess
from deploy.local.ports import free_ports
from loadtest.chat_client import ChatClient
from loadtest.rest import RestApi
from loadtest.seen_frames import SeenFrames
from loadtest.students import Students
from runtime.log_reader import LogReader
from runtime.settings import KafkaSettings
from schemas import topics
from schemas.assignments import Shard
from schemas.up_number import up_at
from tests.faults.crowd import SMALL, Size
from tests.integration.demo.system import running_system
from tests.integration.dispatcher.dispatchers import Tables
from tests.metrics_text import metric_sum
from tests.waiting import eventually

DEADLINE_S: Final = 90.0
TRIES: Final = 10
REPORTED_S: Final = 4.0
"""Within so long an edge has reported, and the dispatcher has looked at load."""

MOVED: Final = "chat_dispatcher_moved_shards_total"

Shown = dict[str, Any]


@dataclass(frozen=True)
class Form:
    """The short form runs with all tests; the long one where FAULTS_MINUTES is set.

    All who chat fill each edge to less than 0.6 of its ``capacity``, so that shards come together again.
    """

    crowds: tuple[Size, ...]
    capacity: int
    rounds: int


SHORT: Final = Form((SMALL,), 110, 1)
HALF: Final = Size(1_500, (2,) * 100 + (5,) * 75 + (30,) * 20 + (200, 200, 400, 1_500), 60.0)
LONG: Final = Form((HALF, HALF), 2_400, int(os.environ.get("LIVE_ROUNDS", "20")))
FORM: Final = LONG if float(os.environ.get("FAULTS_MINUTES", "0")) else SHORT

TOLD: Final = {
    "edge_server": {"EDGE_CAPACITY": str(FORM.capacity)},
    # Shards may come together soon after they were split.
    "dispatcher": {"EDGE_REST_S": "1"},
}


@contextmanager
def live_system(folder: Path) -> Iterator[tuple[LocalSystem, list[ServiceProcess]]]:
    """Run the system. Returns it and both of its dispatchers."""
    with running_system(folder, edges=3, env=TOLD) as system:
        first = system.services["dispatcher"]
        (port,) = free_ports(1)
        env = {**first.env, "OPS_PORT": str(port), "LOG_DIR": str(folder / "logs" / "dispatcher-2")}
        second = ServiceProcess(Planned("dispatcher-2", "dispatcher", port, env), folder / "logs")
        try:
            second.start()
            yield system, [first, second]
        finally:
            second.stop()


class Live:
    """The running system, as a test sees and disturbs it. Made by `open_live`."""

    def __init__(
        self, system: LocalSystem, dispatchers: list[ServiceProcess], session: aiohttp.ClientSession
    ) -> None:
        self.system = system
        self.dispatchers = dispatchers
        self.tables = Tables()
        self.api = RestApi(session, system.public_url)
        self._session = session

    @property
    def shards(self) -> tuple[Shard, ...]:
        """Who holds what, by the newest table."""
        return self.tables.newest.shards

    async def leading(self) -> tuple[ServiceProcess, Shown]:
        """Return who leads, and what it shows; waits until somebody does.

        One that was frozen may believe for a moment that it still leads: the higher epoch is right.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + DEADLINE_S
        while loop.time() < end:
            shown = [(one, await self._shown(one)) for one in self.dispatchers]
            leading = [(one, said) for one, said in shown if said.get("leading")]
            if leading:
                return max(leading, key=lambda found: int(found[1]["epoch"]))
            await asyncio.sleep(0.05)
        raise AssertionError("no dispatcher leads")

    async def _shown(self, dispatcher: ServiceProcess) -> Shown:
        headers = {"Authorization": f"Bearer {self.system.dispatcher_token}"}
        try:
            async with (
                asyncio.timeout(1.0),
                self._session.get(f"{dispatcher.ops_url}/table", headers=headers) as answer,
            ):
                shown: Shown = await answer.json()
                return shown
        except (aiohttp.ClientError, OSError, TimeoutError):
            return {}

    async def moves(self, reason: str) -> int:
        """Return how many shards this leader's process has moved for a reason."""
        leader, _ = await self.leading()
        async with self._session.get(f"{leader.ops_url}/metrics") as answer:
            return int(metric_sum(await answer.text(), MOVED, reason=reason))

    async def moved_more(self, reason: str, before: int, deadline_s: float = DEADLINE_S) -> bool:
        """Wait until more shards than ``before`` were moved for this reason; say whether they were."""
        loop = asyncio.get_running_loop()
        end = loop.time() + deadline_s
        while await self.moves(reason) <= before:
            if loop.time() > end:
                return False
            await asyncio.sleep(0.2)
        return True

    async def all_serve(self) -> None:
        """Wait until every edge holds something."""
        names = set(self.system.edge_urls)
        await eventually("every edge holds something", lambda: self.tables.holders() == names, DEADLINE_S)

    async def everybody_is_located(self, ups: Iterable[str]) -> None:
        """Wait until the gateway sends each of these where the newest table says."""
        loop = asyncio.get_running_loop()
        end = loop.time() + DEADLINE_S
        for up in ups:
            token = self.system.mint_token(up)
            while (url := await self.api.locate(token)) != self._url_of(up):
                assert loop.time() < end, f"{up} is sent to {url}"
                await asyncio.sleep(0.05)

    def _url_of(self, up: str) -> str | None:
        table = self.tables.newest
        return table.urls.get(table.shard_of(up).edge or "")

    @asynccontextmanager
    async def ballast(self, shard: Shard, count: int) -> AsyncIterator[None]:
        """Keep so many silent clients connected, spread over a shard."""
        width = shard.end - shard.start
        ups = [up_at(shard.start + (2 * n + 1) * width // (2 * count)) for n in range(count)]
        seen = SeenFrames()
        clients = [
            ChatClient(up, self.system.mint_token(up), locate=self.api.locate, seen=seen) for up in ups
        ]
        async with Students(clients) as students:
            await students.connect()
            yield

    async def split(self, *, first: bool) -> None:
        """Fill the edge at one end of the circle, and its neighbour half: a part of it goes to the third.

        The table may change meanwhile: what is missing by the dispatcher's word is added until it is full.
        """
        before = await self.moves("full")
        async with AsyncExitStack() as stack:
            beside = self.shards[1] if first else self.shards[-2]
            half = int(0.6 * FORM.capacity) - await self._connected(beside.edge)
            await stack.enter_async_context(self.ballast(beside, half))
            for _ in range(TRIES):
                target = self.shards[0] if first else self.shards[-1]
                missing = int(0.95 * FORM.capacity) - await self._connected(target.edge)
                await stack.enter_async_context(self.ballast(target, missing))
                if await self.moved_more("full", before, REPORTED_S):
                    return
        raise AssertionError("an edge was filled again and again and gave nothing away")

    async def _connected(self, edge: str | None) -> int:
        _, shown = await self.leading()
        return sum(row["connected"] or 0 for row in shown["edges"] if row["edge"] == edge)

    def changes_of(self, up: str, since: int) -> int:
        """Return how often a number has changed its edge in the tables after the first ``since`` ones."""
        holders = [table.shard_of(up).edge for table in self.tables.all[since - 1 :]]
        return sum(old != new for old, new in pairwise(holders))


@asynccontextmanager
async def open_live(system: LocalSystem, dispatchers: list[ServiceProcess]) -> AsyncIterator[Live]:
    """Look at the running system: follow its tables as an edge does, and ask its dispatchers."""
    env = system.backing.env()
    settings = KafkaSettings(
        kafka_bootstrap_servers=env["KAFKA_BOOTSTRAP_SERVERS"], kafka_durable=env["KAFKA_DURABLE"] == "true"
    )
    async with aiohttp.ClientSession() as session:
        live = Live(system, dispatchers, session)
        reader = LogReader(settings, topics.ASSIGNMENTS, live.tables.take)
        reading = asyncio.create_task(reader.run())
        try:
            await eventually("the tables are read", reader.caught_up.is_set, DEADLINE_S)
            yield live
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

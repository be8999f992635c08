"""Dispatchers as processes, edges that report, and the tables as they stand in the log."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError

from deploy.local.ports import free_ports
from deploy.local.processes import ManagedProcess
from runtime.kafka import new_producer, write
from runtime.kafka_topics import ensure_topics
from runtime.log_reader import LogReader
from runtime.settings import KafkaSettings
from schemas import topics
from schemas.assignments import TableAssigned
from schemas.log_records import EdgeReported, encode, spread_of
from tests.waiting import DEADLINE_S, eventually, in_background

TOKEN = "only-for-tests-0123456789"

State = dict[str, Any]


class Edges:
    """Edges that report once a second, each until it is told otherwise."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._prefix = uuid4().hex[:6]
        self.states: dict[str, str] = {}
        self.points: dict[str, list[int]] = {}
        """Where the clients of an edge stand; those of the others stand nowhere."""
        self.rounds = 0
        """Rounds of reports that the log has taken."""

    def name(self, short: str) -> str:
        """Return the full name of an edge of this test."""
        return f"{short}-{self._prefix}"

    def report(self, *names: str, state: str = "serving") -> None:
        """Let edges report this state from now on."""
        self.states.update({self.name(short): state for short in names})

    def crowd(self, edge: str | None, count: int, start: int, end: int) -> None:
        """Let an edge (by its full name) have so many clients, all within an interval of the circle."""
        assert edge in self.states
        self.points[edge] = [start + n * (end - start) // count for n in range(count)]

    def silence(self, *names: str) -> None:
        """Let edges say nothing more, as if they had been killed."""
        for short in names:
            del self.states[self.name(short)]

    async def run(self) -> None:
        """Report for ever, like an edge that goes on whatever becomes of a report."""
        while True:
            producer = new_producer(self._settings)
            try:
                await producer.start()
                while True:
                    await self._report_all(producer)
                    await asyncio.sleep(1)
            except (KafkaError, OSError):
                await asyncio.sleep(0.5)
            finally:
                await producer.stop()

    async def _report_all(self, producer: AIOKafkaProducer) -> None:
        sent = []
        for edge, state in self.states.items():
            points = self.points.get(edge, [])
            report = EdgeReported.model_validate(
                {
                    "edge": edge,
                    "url": f"http://{edge}",
                    "capacity": 100,
                    "connected": len(points),
                    "state": state,
                    "spread": spread_of(points),
                }
            )
            sent.append(await write(producer, topics.EDGE_STATUS, encode(report, key=edge, source=edge), 1))
        await asyncio.gather(*sent)
        self.rounds += 1


class Tables:
    """Every table of the log since the beginning of the test, in the order in which readers see them."""

    def __init__(self) -> None:
        self.all: list[TableAssigned] = []

    def take(self, _partition: int, records: Sequence[ConsumerRecord]) -> None:
        """Keep what is read."""
        self.all += [TableAssigned.read(record.headers, record.value) for record in records]

    @property
    def newest(self) -> TableAssigned:
        """What a follower has taken: a table that is not newer is left out."""
        return max(self.all, key=lambda table: table.age_key)

    def holders(self) -> set[str | None]:
        """Return who holds the shards of the newest table."""
        return {shard.edge for shard in self.newest.shards} if self.all else set()

    def ages(self) -> list[tuple[int, int]]:
        """Return epoch and version of each table, in the log's order."""
        return [table.age_key for table in self.all]


class Dispatcher:
    """One dispatcher process and its ops port."""

    def __init__(
        self, name: str, folder: Path, env: Mapping[str, str], session: aiohttp.ClientSession
    ) -> None:
        [port] = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self._session = session
        self.process = ManagedProcess(
            name=name,
            argv=[sys.executable, "-m", "dispatcher"],
            env={
                **env,
                "DISPATCHER_TOKEN": TOKEN,
                "OPS_PORT": str(port),
                "LOG_DIR": "",
                "LOG_STDOUT": "json",
            },
            log_file=folder / f"{name}.log",
        )

    async def get(self, path: str, token: str | None = TOKEN) -> tuple[int, State]:
        """Return the status and the body of an answer; (0, {}) while nobody answers."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with asyncio.timeout(10), self._session.get(self.url + path, headers=headers) as answer:
                return answer.status, await answer.json()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return 0, {}

    async def text(self, path: str) -> str:
        """Return an answer's body as it is."""
        async with self._session.get(self.url + path) as answer:
            return await answer.text()

    async def post(self, path: str, body: Any = None, token: str | None = TOKEN) -> tuple[int, State]:
        """Ask for something as an operator does. Returns the status and the body of the answer."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._session.post(self.url + path, headers=headers, json=body) as answer:
            return answer.status, await answer.json()

    async def until(self, what: str, holds: Callable[[State], Any], path: str = "/table") -> State:
        """Wait until the answer of ``path`` is as it should be, and return it."""
        loop = asyncio.get_running_loop()
        end = loop.time() + DEADLINE_S
        while True:
            _, body = await self.get(path)
            with suppress(KeyError):
                if holds(body):
                    return body
            assert loop.time() < end, f"never came true: {what}; {body}\n{self.log()}"
            await asyncio.sleep(0.1)

    async def until_leading(self) -> State:
        """Wait until it leads."""
        return await self.until("leads", lambda body: body["leading"])

    async def until_standing_by(self) -> State:
        """Wait until it is in the group without leading."""
        await self.until("is ready", lambda body: body["status"] == "ok", "/readyz")
        return await self.until("stands by", lambda body: not body["leading"])

    def log(self) -> str:
        """Return the end of what it logged."""
        return "\n".join(self.process.last_log_lines(40))


class World:
    """Everything of one test: its own group and fencing, so that tests do not lead one another."""

    def __init__(self, folder: Path, env: Mapping[str, str], session: aiohttp.ClientSession) -> None:
        own = uuid4().hex[:8]
        self._folder = folder
        self._env = {
            **env,
            "DISPATCHER_GROUP": f"dispatcher-{own}",
            # The table of an earlier test is where this one begins: what calm edges would tidy up in it, some
            # seconds later, would be taken for what the test has done.
            "EDGE_REST_S": "600",
        }
        self._session = session
        self.settings = KafkaSettings(
            kafka_bootstrap_servers=env["KAFKA_BOOTSTRAP_SERVERS"],
            kafka_durable=env["KAFKA_DURABLE"] == "true",
        )
        self.edges = Edges(self.settings)
        self.tables = Tables()
        self.dispatchers: list[Dispatcher] = []

    def start(self, **env: str) -> Dispatcher:
        """Start one more dispatcher."""
        name = f"dispatcher-{len(self.dispatchers)}"
        dispatcher = Dispatcher(name, self._folder, {**self._env, **env}, self._session)
        dispatcher.process.launch()
        self.dispatchers.append(dispatcher)
        return dispatcher

    async def until_held_by(self, *names: str) -> TableAssigned:
        """Wait until these edges, and only these, hold the circle. Edges of earlier tests die by then."""
        wanted = {self.edges.name(short) for short in names}
        await eventually(f"only {names} hold something", lambda: self.tables.holders() == wanted)
        return self.tables.newest


@asynccontextmanager
async def world(folder: Path, env: Mapping[str, str]) -> AsyncIterator[World]:
    """Open a world; at its end nothing of it is left running."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        opened = World(folder, env, session)
        await ensure_topics(opened.settings, [topics.EDGE_STATUS, topics.ASSIGNMENTS])
        reader = LogReader(opened.settings, topics.ASSIGNMENTS, opened.tables.take)
        for run in (opened.edges.run, reader.run):
            await stack.enter_async_context(in_background(run()))
        await eventually("the log is read", reader.caught_up.is_set)
        opened.tables.all = opened.tables.all[-1:]
        try:
            yield opened
        finally:
            for dispatcher in opened.dispatchers:
                await asyncio.to_thread(dispatcher.process.stop)

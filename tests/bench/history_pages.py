"""Pages of history by the gateway, and the bare driver's same queries on the same store.

Both ask with the same number of requests under way. How the store itself does is part of both.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import cycle
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient

from api_gateway.history import bundle_pipeline
from loadtest.server_side import cpu_s
from runtime.settings import KafkaSettings, MongoSettings
from schemas import documents, topics
from schemas.api import BundlePage
from schemas.documents import message_document, progress_key
from schemas.log_records import MessageSent
from tests.bench.http_load import get, load, until_answered
from tests.bench.processes import Rig, Server, Size, own_cpu_s
from tests.bench.rounds import Compared, Figures, compare
from tests.bench.socket_clients import TEXT
from tests.bench.table import Row
from tests.integration.backing import new_group, open_log, token

GROUPS = 10
MESSAGES = 200
"""Of each group. The development store sorts what it finds before it limits: larger groups measure that."""
BEFORE = 120
PER_PAGE = 50
AT_ONCE = 8
PAGES = 120
BUNDLES = 24
UP = "up999999999"

Query = Callable[[], Awaitable[object]]


class Stored:
    """What the store holds: a few groups of one student."""

    def __init__(self, database: Any) -> None:
        self.groups = [new_group() for _ in range(GROUPS)]
        self._messages = database[documents.MESSAGES]
        self._progress = database[documents.PROGRESS]
        self._turns = cycle(self.groups)

    async def fill(self) -> None:
        """Write messages, progress and indexes as the persister would."""
        for index in documents.INDEXES[documents.MESSAGES]:
            await self._messages.create_index(index)
        for group in self.groups:
            made = [
                message_document(
                    MessageSent(id=f"m{seq}", group=group, up=UP, message=TEXT, sent_at=seq),
                    seq=seq,
                    timestamp=1_700_000_000_000 + seq,
                )
                for seq in range(MESSAGES)
            ]
            await self._messages.insert_many(made, ordered=False)
        partitions = KafkaSettings().kafka_partitions
        keys = [progress_key(topics.MESSAGES, n) for n in range(partitions)]
        await self._progress.insert_many([{"_id": key, "next": MESSAGES} for key in keys])

    async def first_page(self) -> object:
        """The driver's own way to a group's newest messages."""
        return await self._find({"group": next(self._turns)})

    async def page_before(self) -> object:
        """The driver's own way to a page before a seq."""
        return await self._find({"group": next(self._turns), "seq": {"$lt": BEFORE}})

    async def bundle(self) -> object:
        """The driver's own way to a page of each group, by the same aggregation."""
        pipeline = bundle_pipeline(self.groups, BundlePage())
        return await self._messages.aggregate(pipeline).to_list(None)

    async def _find(self, query: dict[str, Any]) -> object:
        return await self._messages.find(query, sort=[("seq", -1)], limit=PER_PAGE).to_list(None)


async def by_driver(query: Query, total: int) -> Figures:
    """Run a query so many times, several at once."""
    waiting = iter(range(total))

    async def one_after_the_other() -> None:
        for _ in waiting:
            await query()

    before, started = own_cpu_s(), time.perf_counter()
    await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))
    return _figures(total, own_cpu_s() - before, time.perf_counter() - started)


async def by_gateway(server: Server, requests: list[bytes], total: int) -> Figures:
    """Ask the gateway so many times, several at once."""
    before, started = cpu_s(server.pid), time.perf_counter()
    await load(server.port, requests, total, AT_ONCE)
    return _figures(total, cpu_s(server.pid) - before, time.perf_counter() - started)


def _figures(total: int, used: float, took: float) -> Figures:
    return {"per_s": total / took, "cpu_ms": used / total * 1e3}


async def run(rig: Rig, size: Size) -> list[Row]:
    """Compare three ways to read."""
    name = new_group()
    client: Any = AsyncIOMotorClient(MongoSettings().mongodb_uri.get_secret_value())
    try:
        stored = Stored(client[name])
        await stored.fill()
        async with open_log() as log:
            for group in stored.groups:
                await log.join(group, UP)
        gateway, bearer = await rig.gateway(name), token(UP)
        await until_answered(gateway.port, get("/chat/message", bearer))
        rows: list[Row] = []
        for what, total, query, paths in _ways(stored):
            requests = [get(path, bearer) for path in paths]
            compared = await compare(
                size.rounds,
                partial(by_gateway, gateway, requests, size.of(total)),
                partial(by_driver, query, size.of(total)),
            )
            rows += _rows(what, compared)
        await client.drop_database(name)
    finally:
        client.close()
    return rows


def _ways(stored: Stored) -> list[tuple[str, int, Query, list[str]]]:
    of_group = [f"/chat/{group}/message?perPage={PER_PAGE}" for group in stored.groups]
    return [
        (f"history, first page of {PER_PAGE}", PAGES, stored.first_page, of_group),
        (
            f"history, {PER_PAGE} before a seq",
            PAGES,
            stored.page_before,
            [f"{path}&before={BEFORE}" for path in of_group],
        ),
        (f"history, bundle of {GROUPS} groups", BUNDLES, stored.bundle, ["/chat/message"]),
    ]


def _rows(what: str, compared: Compared) -> list[Row]:
    return [
        compared.row(what, "per_s", "1/s", better="higher"),
        compared.row(f"{what}, CPU (without the store's)", "cpu_ms", "ms"),
    ]

"""Starts and stops edges of a local system: the autoscaler of the demo.

The dispatcher decides how many edges there are, and edge_count.py when they change.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import aiohttp

from deploy.demo.edge_count import EdgeCount
from deploy.demo.local_system import LocalSystem
from deploy.demo.service_process import ServiceProcess

POLL_EVERY_S: Final = 1.0
SERVES_DEADLINE_S: Final = 30.0
EMPTY_DEADLINE_S: Final = 60.0

Table = dict[str, Any]


class EdgeScaling:
    """Runs as many edges as are wanted. While the dispatcher does not answer nothing changes."""

    def __init__(self, system: LocalSystem, session: aiohttp.ClientSession, count: EdgeCount) -> None:
        self._system = system
        self._session = session
        self._count = count
        self._headers = {"Authorization": f"Bearer {system.dispatcher_token}"}

    async def run(self) -> None:
        """Follow what is wanted, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(POLL_EVERY_S)
            table = await self._table()
            if table is None or not table["leading"]:
                continue
            step = self._count.step(loop.time(), serving=table["edges_serving"], wanted=table["edges_wanted"])
            if step == "start":
                await self._start_one(self._count.goal(table["edges_wanted"]))
            elif step == "stop":
                await self._stop_one(table)

    async def _start_one(self, goal: int) -> None:
        edge = self._system.add_edge()
        print(f"{goal} edges are wanted: starting {edge.name}", flush=True)
        try:
            await asyncio.to_thread(edge.start)
        except (RuntimeError, TimeoutError) as error:
            print(f"{edge.name} did not start: {error}", flush=True)
            await self._stop(edge)
        else:
            await self._wait_for_edge(lambda row: row["state"] == "serving", edge.name, SERVES_DEADLINE_S)

    async def _stop_one(self, table: Table) -> None:
        """Drain the edge with the fewest clients, as an operator would, and stop it when it is empty."""
        ours = [
            row
            for row in table["edges"]
            if row["state"] == "serving" and row["edge"] in self._system.edge_urls
        ]
        if not ours:
            return
        emptiest = min(ours, key=lambda row: (row["connected"] or 0, row["edge"]))["edge"]
        print(f"{self._count.goal(table['edges_wanted'])} edges would do: draining {emptiest}", flush=True)
        if not await self._drain(emptiest):
            return
        await self._wait_for_edge(lambda row: row["connected"] == 0, emptiest, EMPTY_DEADLINE_S)
        await self._stop(self._system.services[emptiest])
        print(f"{emptiest} has stopped", flush=True)

    async def _drain(self, edge: str) -> bool:
        try:
            path = f"{self._dispatcher}/edges/{edge}/drain"
            async with self._session.post(path, headers=self._headers) as answer:
                answer.raise_for_status()
                return True
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            print(f"{edge} is not drained: {error!r}", flush=True)
            return False

    async def _stop(self, edge: ServiceProcess) -> None:
        await asyncio.to_thread(edge.stop)
        self._system.forget_edge(edge.name)

    async def _wait_for_edge(self, condition: Callable[[Table], bool], edge: str, deadline_s: float) -> None:
        """Wait until ``condition`` holds for the row of an edge, or until the deadline."""
        loop = asyncio.get_running_loop()
        end = loop.time() + deadline_s
        while loop.time() < end:
            table = await self._table()
            if table is not None and any(row["edge"] == edge and condition(row) for row in table["edges"]):
                return
            await asyncio.sleep(POLL_EVERY_S / 2)

    async def _table(self) -> Table | None:
        try:
            async with self._session.get(f"{self._dispatcher}/table", headers=self._headers) as answer:
                table: Table = await answer.json()
                return table if answer.status == 200 else None
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None

    @property
    def _dispatcher(self) -> str:
        return self._system.services["dispatcher"].ops_url

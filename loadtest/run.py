"""One run, from a scenario to its result: processes of students, samples of servers, one line a second."""

import asyncio
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import aiohttp

from loadtest.collector import Collector
from loadtest.crew import Crew
from loadtest.news import Job
from loadtest.results import Result, ServersSample, ShownSecond
from loadtest.scenario import Scenario
from loadtest.server_side import Watched, read_servers

SAMPLE_EVERY_S: Final = 2.0


@dataclass(frozen=True)
class Target:
    """A deployment: where it is, whose tokens it takes, and which of its servers can be looked at."""

    gateway: str
    tokens_file: Path | None = None
    watched: Watched = field(default_factory=lambda: Watched({}, {}))


async def run_scenario(
    scenario: Scenario,
    target: Target,
    *,
    processes: int = 0,
    on_second: Callable[[ShownSecond], None],
    ending: asyncio.Event | None = None,
) -> Result:
    """Run a scenario. Raises `RunFailedError` or ValueError where it cannot be carried through.

    ``processes`` is how many generate load; 0: one for each core, at most one for 500 students or a group.
    Once ``ending`` is set sending stops, and the result is of what was sent before. If nobody had connected
    yet there is none, and that is a `RunFailedError`.
    """
    run, started = uuid4().hex[:8], datetime.now(UTC)
    jobs = _jobs(scenario, target, run, processes)
    collector = Collector(scenario)
    crew = Crew(jobs, lambda second: on_second(collector.add(second)))

    async def end_early(ending: asyncio.Event) -> None:
        await ending.wait()
        collector.end_early(max(0.0, time.monotonic() - crew.starts_at))
        crew.end()

    async with aiohttp.ClientSession() as session:
        meanwhile = [asyncio.create_task(_sample_servers(session, target.watched, collector, crew))]
        if ending is not None:
            meanwhile.append(asyncio.create_task(end_early(ending)))
        try:
            verdicts = await crew.run()
        finally:
            for task in meanwhile:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
    return collector.result(
        run=run,
        started=started.isoformat(timespec="seconds"),
        machine=f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release()}",
        gateway=target.gateway,
        verdicts=verdicts,
        watched=(*target.watched.ops_urls, *target.watched.pids),
    )


def _jobs(scenario: Scenario, target: Target, run: str, processes: int) -> list[Job]:
    if processes < 0:
        raise ValueError(f"{processes} processes cannot generate load")
    if scenario.replay is not None and processes > 1:
        raise ValueError(f"a replay is said by one process, not by {processes}")
    if scenario.replay is None and processes > scenario.groups_for_all:
        raise ValueError(f"all of a group are in one process: {processes} need as many groups")
    by_size = min(os.cpu_count() or 1, -(-scenario.students // 500), scenario.groups_for_all)
    count = 1 if scenario.replay else processes or by_size
    return [
        Job(
            scenario=scenario,
            gateway=target.gateway,
            run=run,
            number=number,
            of=count,
            tokens_file=target.tokens_file,
        )
        for number in range(count)
    ]


async def _sample_servers(
    session: aiohttp.ClientSession, watched: Watched, collector: Collector, crew: Crew
) -> None:
    """Sample the servers until cancelled; samples before the start are dropped."""
    if not (watched.ops_urls or watched.pids):
        return
    while True:
        servers, at = await read_servers(session, watched), time.monotonic() - crew.starts_at
        if at >= 0:
            collector.servers.append(ServersSample(at=at, servers=servers))
        await asyncio.sleep(SAMPLE_EVERY_S)

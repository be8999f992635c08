"""Services are killed at random points, again and again, and one in the middle of its work."""

import asyncio
import random
import signal
import sys
import time
from collections.abc import Iterator

import pytest

from deploy.demo.service_process import ServiceProcess
from deploy.local.processes import wait_until
from tests.faults.crowd import LARGE, SMALL, Crowd, open_crowd
from tests.faults.outcomes import Outcome
from tests.faults.stage import Stage

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(300)]

KILLS_LONG = 100
AT_ONCE = 3
SHARE = 0.4
"""How much of a long run's time goes into kills."""


def victims(services: list[ServiceProcess], rng: random.Random) -> Iterator[list[ServiceProcess]]:
    """Yield whom to kill at the same time, without an end: all get their turn before one gets another."""
    while True:
        order = rng.sample(services, len(services))
        yield order[:AT_ONCE]
        yield order[AT_ONCE:]


async def kill_and_start(service: ServiceProcess, crowd: Crowd, rng: random.Random) -> float:
    """Kill a service and start it again; return how long it took until all was well again."""
    await asyncio.sleep(rng.uniform(0.0, 0.7))
    await asyncio.to_thread(service.kill)
    probe = asyncio.create_task(crowd.probe())
    await asyncio.sleep(rng.uniform(0.0, 1.0))
    await asyncio.to_thread(service.start)
    return await probe


@pytest.mark.timeout(3600)
async def test_services_killed_at_any_moment_break_no_promise(
    stage: Stage, seed: int, minutes: float, outcome: Outcome
) -> None:
    """kill -9 of each kind of service at random points"""
    rng = random.Random(seed)
    services = list(stage.system.services.values())
    least, ends = KILLS_LONG if minutes else len(services), time.monotonic() + minutes * 60 * SHARE
    async with open_crowd(stage.system, seed, LARGE if minutes else SMALL) as crowd:
        async with crowd.chatting():
            turns = victims(services, rng)
            while outcome.counts.total() < least or time.monotonic() < ends:
                killed = next(turns)
                kills = (kill_and_start(service, crowd, rng) for service in killed)
                outcome.recovered_s += await asyncio.gather(*kills)
                outcome.counts.update(service.name for service in killed)
                print(f"{outcome.counts.total()} kills, recovered in {outcome.recovered_s[-1]:.1f} s")
        outcome.checked = await crowd.judge()


async def ended(service: ServiceProcess) -> None:
    """Wait until a service has ended by itself."""
    await asyncio.to_thread(wait_until, lambda: not service.alive, 60.0, "it has died")


async def test_a_persister_that_dies_between_write_and_commit_stores_all_once(
    stage: Stage, seed: int, minutes: float, outcome: Outcome
) -> None:
    """the persister killed between the write and the commit, and between the progress and the commit"""
    persister = stage.system.services["persister"]
    argv = persister.argv
    async with open_crowd(stage.system, seed) as crowd:
        async with crowd.chatting():
            await crowd.probe()
            for _ in range(10 if minutes else 1):
                await asyncio.to_thread(persister.stop)
                try:
                    for point in ("after_write", "after_progress"):
                        persister.argv = [sys.executable, "-m", "tests.faults.dying_persister", point]
                        persister.launch()
                        await ended(persister)
                        assert persister.returncode == -signal.SIGKILL
                        outcome.counts[point] += 1
                finally:
                    persister.argv = argv
                persister.launch()
                outcome.recovered_s.append(await crowd.probe())
        outcome.checked = await crowd.judge()

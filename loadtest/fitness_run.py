"""Measures the fitness functions on a deployment, one load after the other, while a probe checks it."""

import asyncio
import logging
import time
from collections.abc import Callable
from itertools import count, pairwise
from pathlib import Path
from typing import Final

import aiohttp
import uvloop

from loadtest import fitness
from loadtest.crowd import made_up_number
from loadtest.fitness import Capacity, Outcome, University
from loadtest.keeping import keep
from loadtest.probe import Probe
from loadtest.rest import RestApi
from loadtest.results import Result, cores_carrying, cores_used, faults, formatted, in_words
from loadtest.run import Target, run_scenario
from loadtest.run_command import LiveLine
from loadtest.scenario import load
from loadtest.schedule import stretches
from loadtest.server_side import read_servers
from loadtest.tokens import open_tokens

log = logging.getLogger(__name__)

USUAL_MINUTES: Final = 6.0
PROBE_EVERY_S: Final = 2.0
LOCATIONS_FOR_S: Final = 5.0
LOCATING: Final = 2_000
AT_ONCE: Final = 32


def measure_fitness(target: Target, folder: Path, minutes: float, audit: Callable[[], Outcome]) -> int:
    """Measure all fitness functions, print the table and keep it, and return the exit status."""
    run = FitnessRun(target, folder, stretch=minutes / USUAL_MINUTES)
    outcomes, needs = uvloop.run(run.run())
    outcomes.append(audit())
    table = f"{fitness.table(outcomes)}\n\n{needs}"
    print(f"\n\n{table}\n")
    print(keep(folder / f"fitness-{time.strftime('%Y%m%d-%H%M%S')}.txt", table + "\n"))
    return int(any(one.grade == "FAIL" for one in outcomes))


class FitnessRun:
    """Prints what is run, with a line a second; results go to ``folder``."""

    def __init__(self, target: Target, folder: Path, *, stretch: float) -> None:
        self._target = target
        self._folder = folder
        self._stretch = stretch
        self._tokens = open_tokens(target.tokens_file)

    async def run(self) -> tuple[list[Outcome], str]:
        """Return all outcomes but the audit's, and what a large university would need."""
        async with aiohttp.ClientSession() as session:
            api = RestApi(session, self._target.gateway)
            up = self._tokens.ups[-1] if self._tokens.ups else made_up_number(str(time.time()), 0)
            probe = Probe(api, up, self._tokens.token)
            probing = asyncio.create_task(probe.run(PROBE_EVERY_S))
            try:
                online = await self._run("fitness-online")
                channel = await self._channel()
                unusual = await self._run("unusual")
                per_core = await self._locations(session, api)
            finally:
                probing.cancel()
                await asyncio.wait({probing})
        died = None if probing.cancelled() else probing.exception()
        outcomes = [*_online(online), channel, _unusual(unusual), _uptime(probe, died)]
        return outcomes, _needs(unusual, per_core)

    async def _run(self, name: str) -> Result:
        scenario = load(name).stretched(self._stretch)
        print(f"\n{scenario.name}: {scenario.about}", flush=True)
        live = LiveLine(scenario.seconds)
        result = await run_scenario(scenario, self._target, on_second=live.show)
        keep(self._folder / f"{name}.json", result.model_dump_json(indent=1))
        return result

    async def _channel(self) -> Outcome:
        """Return the higher of the two documented rates that is carried: no loss, to oneself within 10 s."""
        note = ""
        for name, rate in (("ideal-rate", 1.0), ("minimal-rate", 0.2)):
            result = await self._run(name)
            note = f"{result.scenario.students:,} students, to self p99 {result.own.p99:,.0f} ms"
            if not faults(result.verdict) and result.own.p99 <= fitness.TO_SELF.least * 1000:
                return Outcome(fitness.CHANNEL, _unless_unread(result, rate), note + _unread(result))
            note += f"; {in_words(faults(result.verdict))}"
        return Outcome(fitness.CHANNEL, 0.0, note)

    async def _locations(self, session: aiohttp.ClientSession, api: RestApi) -> float | None:
        """Return how many requests for a location per second a gateway core answers under full load.

        Each request is another student's, as in the morning: requests of one student are rate limited.
        """
        numbers = count()
        end = time.monotonic() + LOCATIONS_FOR_S
        ups = self._tokens.ups or [made_up_number("locations", index) for index in range(LOCATING)]
        tokens = [self._tokens.token(up) for up in ups[:LOCATING]]
        answered = 0

        async def ask() -> None:
            nonlocal answered
            while time.monotonic() < end:
                await api.locate(tokens[next(numbers) % len(tokens)])
                answered += 1

        before = await read_servers(session, self._target.watched)
        results = await asyncio.gather(*(ask() for _ in range(AT_ONCE)), return_exceptions=True)
        after = await read_servers(session, self._target.watched)
        for failure in results:
            if failure is not None:
                log.warning("a location could not be obtained: %s", failure)
        gateways = [name for name in before if "gateway" in name and name in after]
        used_s = sum(after[name].cpu_s - before[name].cpu_s for name in gateways)
        return answered / used_s if answered and used_s > 0 else None


def carried(result: Result, per_core: float | None) -> Capacity:
    """Return the capacity in the phase of a run with the most deliveries."""
    phases = [one for one in stretches(result.scenario) if one.phase.measured]
    best: tuple[float, float] = (0.0, 0.0)
    cores: dict[str, float] = {}
    for phase in phases:
        seconds = [one for one in result.moments if phase.starts_s <= one.at < phase.ends_s]
        samples = [one for one in result.servers if phase.starts_s <= one.at <= phase.ends_s]
        if len(samples) < 2 or not seconds:
            continue
        received = sum(one.received for one in seconds) / len(seconds)
        acked = sum(one.acked for one in seconds) / len(seconds)
        if (received, acked) > best:
            best, cores = (received, acked), cores_used(pairwise(samples))
    received, acked = best
    edges, brokers = cores_carrying(result.watched, cores)
    return Capacity(acked, received, edges or None, brokers or None, per_core)


def _unless_unread(result: Result, value: float) -> float | None:
    """Return the value; None if history could not be read: then loss is not known."""
    return None if result.verdict.unread else value


def _unread(result: Result) -> str:
    return f"; history could not be read: {result.verdict.unread}" if result.verdict.unread else ""


def _online(result: Result) -> list[Outcome]:
    wrong = faults(result.verdict)
    note = (
        f"groups of {result.scenario.group_size}, {formatted(result.deliveries_per_s, '')} deliveries/s;"
        f" {in_words(wrong)}{_unread(result)}"
    )
    return [
        Outcome(fitness.ONLINE, _unless_unread(result, result.online_most), note, broken=bool(wrong)),
        Outcome(
            fitness.TO_SELF,
            result.own.p99 / 1000 if result.own.count else None,
            f"with {result.online_most:,} online; p50 {result.own.p50:,.0f} ms",
        ),
    ]


def _unusual(result: Result) -> Outcome:
    wrong = faults(result.verdict)
    most = max((before.received + after.received) / 2 for before, after in pairwise(result.moments))
    acked = max((before.acked + after.acked) / 2 for before, after in pairwise(result.moments))
    tried = max(one.planned for one in result.moments)
    shed = sum(one.repeated for one in result.moments)
    note = (
        f"up to {tried:,} messages/s sent; carried {acked:,.0f}/s and {most:,.0f} deliveries/s;"
        f" {shed:,} refused for now and taken later; {in_words(wrong)}{_unread(result)}"
    )
    lost = sum(wrong.values())
    return Outcome(fitness.UNUSUAL, _unless_unread(result, lost), note, broken=lost > 0)


def _uptime(probe: Probe, died: BaseException | None) -> Outcome:
    """Return the probe's result; unknown if the probe died, as it saw only the beginning."""
    if died is not None:
        return Outcome(fitness.UPTIME, None, f"the probe died: {died!r}; till then: {probe.summary}")
    seen = probe.availability
    note = f"a probe every {PROBE_EVERY_S:g} s during all of this: {probe.summary}"
    return Outcome(fitness.UPTIME, 100 * seen.uptime if seen.checks else None, note)


def _needs(result: Result, per_core: float | None) -> str:
    if not result.servers:
        return "what more students would need is not known: no server could be looked at (--ops, --pid)"
    return fitness.extrapolate(carried(result, per_core), University())

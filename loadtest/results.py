"""The result of a run: what was planned, what happened each second, and whether the objectives held. Pure."""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from pydantic import BaseModel

from loadtest.latency import Latencies
from loadtest.news import Second, Verdict
from loadtest.scenario import Scenario
from loadtest.schedule import measured_between
from loadtest.server_side import MACHINE, ServerMoment

CARRIERS: Final = ("edge", "kafka")
"""Servers whose names begin so carry deliveries: their CPU counts for a delivery, where both are seen."""

LATE_MS: Final = 50.0
"""A generator whose own sending is later than this (p99) measures itself."""


FAULTS: Final = (
    *("missing", "doubled", "disordered", "altered", "leaked"),
    *("not_acked", "not_stored", "holes", "refused", "absent"),
)


class Moment(BaseModel):
    """One second of all students. Times are in ms."""

    at: int
    online: int
    planned: int
    acked: int
    refused: int
    repeated: int
    received: int
    reconnects: int
    p50: float
    p90: float
    p99: float
    most: float
    ack_p50: float
    ack_p99: float
    generator_cpu: float
    waits_for: str = ""

    @classmethod
    def of(cls, second: Second) -> "Moment":
        """Return what is shown of a second."""
        deliver, ack = Latencies.of_pairs(second.deliver), Latencies.of_pairs(second.ack)
        deliver.add(Latencies.of_pairs(second.other_deliver))
        ack.add(Latencies.of_pairs(second.other_ack))
        return cls(
            **second.model_dump(include={"at", "online", "planned", "acked", "refused", "repeated"}),
            received=second.received,
            reconnects=second.reconnects,
            p50=deliver.percentile_ms(50),
            p90=deliver.percentile_ms(90),
            p99=deliver.percentile_ms(99),
            most=deliver.percentile_ms(100),
            ack_p50=ack.percentile_ms(50),
            ack_p99=ack.percentile_ms(99),
            generator_cpu=second.cpu_s,
            waits_for=second.waits_for,
        )


class Percentiles(BaseModel):
    """Times in ms, and how many they are of."""

    count: int
    p50: float
    p90: float
    p99: float
    p999: float
    most: float

    @classmethod
    def of(cls, latencies: Latencies) -> "Percentiles":
        """Return what is told of latencies."""
        p50, p90, p99, p999, most = (latencies.percentile_ms(one) for one in (50, 90, 99, 99.9, 100))
        return cls(count=latencies.total, p50=p50, p90=p90, p99=p99, p999=p999, most=most)


class ServerSecond(BaseModel):
    """All servers at one moment of the run."""

    at: float
    servers: dict[str, ServerMoment]


class Judged(BaseModel):
    """One objective: what was wanted, what came, whether it held."""

    what: str
    wanted: str
    got: str
    held: bool


class Result(BaseModel):
    """A whole run, as its JSON file holds it."""

    run: str
    started: str
    machine: str
    gateway: str
    scenario: Scenario
    processes: int
    deliver: Percentiles
    ack: Percentiles
    own: Percentiles
    late: Percentiles
    verdict: Verdict
    online_most: int
    deliveries_per_s: float | None
    """None, as all figures of measured seconds, where there was no whole one, or nothing came in it."""
    messages_per_s: float | None
    server_us_per_delivery: float | None
    server_cpu: dict[str, float]
    others_cpu: float | None = None
    generator_us_per_delivery: float | None
    ended_early_s: float | None = None
    """When it was told to end, in seconds from its start; nothing after that was measured."""
    judged: list[Judged]
    moments: list[Moment]
    servers: list[ServerSecond]

    @property
    def ok(self) -> bool:
        """Whether every objective held."""
        return all(one.held for one in self.judged)


class Collector:
    """Takes seconds and servers' moments while a run goes on, and makes its result."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._measured = measured_between(scenario)
        self._deliver, self._ack = Latencies(), Latencies()
        self._own, self._late = Latencies(), Latencies()
        self._received = self._planned = self._seconds = 0
        self._generator_cpu_s = 0.0
        self._ended_early_s: float | None = None
        self.moments: list[Moment] = []
        self.servers: list[ServerSecond] = []

    def take(self, second: Second) -> Moment:
        """Take one second of all students. What was planned while measured counts whenever it comes."""
        moment = Moment.of(second)
        self.moments.append(moment)
        self._deliver.add(Latencies.of_pairs(second.deliver))
        self._ack.add(Latencies.of_pairs(second.ack))
        self._own.add(Latencies.of_pairs(second.own))
        self._late.add(Latencies.of_pairs(second.late))
        if self._is_measured(second.at, second.at + 1):
            self._received += second.received
            self._planned += second.planned
            self._generator_cpu_s += second.cpu_s
            self._seconds += 1
        return moment

    def end_early(self, at_s: float) -> None:
        """Measure nothing after this moment: nothing more is planned."""
        self._ended_early_s = at_s

    def result(
        self, *, run: str, started: str, machine: str, gateway: str, verdicts: list[Verdict]
    ) -> Result:
        """Return the result."""
        verdict = _sum(verdicts)
        cpu = self._server_cpu()
        whole = cpu.pop(MACHINE, None)
        carried = [[used for name, used in cpu.items() if name.startswith(prefix)] for prefix in CARRIERS]
        carriers_s = sum(map(sum, carried)) * self._seconds if all(carried) else None
        generator = _each(self._generator_cpu_s, self._seconds)
        result = Result(
            run=run,
            started=started,
            machine=machine,
            gateway=gateway,
            scenario=self._scenario,
            processes=len(verdicts),
            deliver=Percentiles.of(self._deliver),
            ack=Percentiles.of(self._ack),
            own=Percentiles.of(self._own),
            late=Percentiles.of(self._late),
            verdict=verdict,
            online_most=max((moment.online for moment in self.moments), default=0),
            deliveries_per_s=_each(self._received, self._seconds),
            messages_per_s=_each(self._planned, self._seconds),
            server_us_per_delivery=None if carriers_s is None else _each(carriers_s * 1e6, self._received),
            server_cpu=cpu,
            others_cpu=(
                None
                if whole is None or generator is None
                else max(0.0, whole - sum(cpu.values()) - generator)
            ),
            generator_us_per_delivery=_each(self._generator_cpu_s * 1e6, self._received),
            ended_early_s=self._ended_early_s,
            judged=[],
            moments=self.moments,
            servers=self.servers,
        )
        return result.model_copy(update={"judged": judge(result)})

    def _is_measured(self, starts: float, ends: float) -> bool:
        most = math.inf if self._ended_early_s is None else self._ended_early_s
        return ends <= most and any(starts >= first and ends <= last for first, last in self._measured)

    def _server_cpu(self) -> dict[str, float]:
        """Return how many cores each server used while it was measured."""
        return cores_used(
            (before, after)
            for before, after in pairwise(self.servers)
            if self._is_measured(before.at, after.at)
        )


def cores_used(between: Iterable[tuple[ServerSecond, ServerSecond]]) -> dict[str, float]:
    """Return how many cores each server used between looks that saw it, and not that it started anew."""
    worked: dict[str, list[tuple[float, float]]] = {}
    for before, after in between:
        for name, moment in before.servers.items():
            if name in after.servers and (used_s := after.servers[name].cpu_s - moment.cpu_s) >= 0:
                worked.setdefault(name, []).append((used_s, after.at - before.at))
    return {name: sum(used for used, _ in of) / sum(took for _, took in of) for name, of in worked.items()}


def judge(result: Result) -> list[Judged]:
    """Hold a result against its scenario's objectives. Losing nothing is always one."""
    wanted, verdict = result.scenario.objectives, result.verdict
    faults = {name: getattr(verdict, name) for name in FAULTS}
    wrong = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in faults.items() if count)
    judged = [
        Judged(
            what="everything arrives once, in order",
            wanted="0 faults",
            got=wrong or "0 faults",
            held=not wrong,
        )
    ]
    if verdict.unread:
        judged.append(
            Judged(
                what="history has all of it",
                wanted="0 not stored",
                got=f"history could not be read: {verdict.unread}",
                held=False,
            )
        )
    times = (
        ("send → receive, p50", wanted.p50_ms, result.deliver, result.deliver.p50),
        ("send → receive, p99", wanted.p99_ms, result.deliver, result.deliver.p99),
        ("send → ack, p99", wanted.ack_p99_ms, result.ack, result.ack.p99),
    )
    for what, most, of, got in times:
        if most is not None and of.count:
            judged.append(_at_most(what, got, most, "ms"))
        elif most is not None:
            judged.append(Judged(what=what, wanted=f"≤ {most:g} ms", got="nothing came", held=False))
    if any(most is not None for _, most, _, _ in times):
        judged.append(_at_most("the generator itself is on time (p99)", result.late.p99, LATE_MS, "ms"))
    most = wanted.server_us_per_delivery
    if most is not None and _carriers_are_seen(result):
        judged.append(
            _at_most("CPU of edges and broker a delivery", result.server_us_per_delivery, most, "µs")
        )
    if result.ended_early_s is not None:
        judged.append(
            Judged(
                what="carried to its end",
                wanted=f"{result.scenario.seconds:.0f} s",
                got=f"ended after {result.ended_early_s:.0f} s",
                held=False,
            )
        )
    if wanted.online is not None:
        judged.append(
            Judged(
                what="students online",
                wanted=f"≥ {wanted.online:,}",
                got=f"{result.online_most:,}",
                held=result.online_most >= wanted.online,
            )
        )
    return judged


def shown(value: float | None, unit: str) -> str:
    """Return a figure as it is shown."""
    if value is None:
        return "unknown"
    digits = 0 if unit in {"", "/s"} else 2 if unit == "cores" else 1
    return f"{value:,.{digits}f} {unit}".rstrip()


def _at_most(what: str, got: float | None, most: float, unit: str) -> Judged:
    held = got is not None and got <= most
    return Judged(what=what, wanted=f"≤ {most:g} {unit}", got=shown(got, unit), held=held)


def _carriers_are_seen(result: Result) -> bool:
    names = {name for look in result.servers for name in look.servers}
    return all(any(name.startswith(prefix) for name in names) for prefix in CARRIERS)


def _each(total: float, count: int) -> float | None:
    return total / count if count else None


def _sum(verdicts: Iterable[Verdict]) -> Verdict:
    total: dict[str, float] = {}
    unread = ""
    for verdict in verdicts:
        unread = unread or verdict.unread
        for name, count in verdict.model_dump(exclude={"unread"}).items():
            total[name] = total.get(name, 0.0) + count
    return Verdict.model_validate({**total, "unread": unread})

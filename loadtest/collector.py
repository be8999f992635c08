"""Collects the seconds of students and samples of servers into a result. Pure."""

import math
from collections.abc import Iterable
from itertools import pairwise

from loadtest.latency import Latencies
from loadtest.news import Second, Verdict
from loadtest.results import (
    Percentiles,
    Result,
    ServersSample,
    ShownSecond,
    cores_carrying,
    cores_used,
    judge,
)
from loadtest.scenario import Scenario
from loadtest.schedule import measured_between
from loadtest.server_side import MACHINE


class Collector:
    """Collects during a run, and returns its result."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._measured = measured_between(scenario)
        self._deliver, self._ack = Latencies(), Latencies()
        self._own, self._late = Latencies(), Latencies()
        self._received = self._planned = self._seconds = 0
        self._generator_cpu_s = 0.0
        self._ended_early_s: float | None = None
        self.moments: list[ShownSecond] = []
        self.servers: list[ServersSample] = []

    def add(self, second: Second) -> ShownSecond:
        """Add one second of all students. Latencies of measured messages count whenever they arrive."""
        shown = ShownSecond.of(second)
        self.moments.append(shown)
        self._deliver.add(Latencies(second.deliver))
        self._ack.add(Latencies(second.ack))
        self._own.add(Latencies(second.own))
        self._late.add(Latencies(second.late))
        if self._is_measured(second.at, second.at + 1):
            self._received += second.received
            self._planned += second.planned
            self._generator_cpu_s += second.cpu_s
            self._seconds += 1
        return shown

    def end_early(self, at_s: float) -> None:
        """Measure nothing after this moment, because sending stops. No effect if all was sent before."""
        if at_s < self._scenario.seconds:
            self._ended_early_s = at_s

    def result(
        self,
        *,
        run: str,
        started: str,
        machine: str,
        gateway: str,
        verdicts: list[Verdict],
        watched: Iterable[str] = (),
    ) -> Result:
        """Return the result."""
        verdict = _sum(verdicts)
        cpu = self._server_cpu()
        machine_cores = cpu.pop(MACHINE, None)
        given = sorted({*watched})
        edges, brokers = cores_carrying(given, cpu)
        carriers_s = None if edges is None or brokers is None else (edges + brokers) * self._seconds
        generator = _ratio(self._generator_cpu_s, self._seconds)
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
            deliveries_per_s=_ratio(self._received, self._seconds),
            messages_per_s=_ratio(self._planned, self._seconds),
            server_us_per_delivery=None if carriers_s is None else _ratio(carriers_s * 1e6, self._received),
            server_cpu=cpu,
            others_cpu=(
                None
                if machine_cores is None or generator is None
                else max(0.0, machine_cores - sum(cpu.values()) - generator)
            ),
            generator_us_per_delivery=_ratio(self._generator_cpu_s * 1e6, self._received),
            ended_early_s=self._ended_early_s,
            watched=given,
            judged=[],
            moments=self.moments,
            servers=self.servers,
        )
        return result.model_copy(update={"judged": judge(result)})

    def _is_measured(self, starts: float, ends: float) -> bool:
        most = math.inf if self._ended_early_s is None else self._ended_early_s
        return ends <= most and any(starts >= first and ends <= last for first, last in self._measured)

    def _server_cpu(self) -> dict[str, float]:
        """Return how many cores each server used in the measured time."""
        return cores_used(
            (before, after)
            for before, after in pairwise(self.servers)
            if self._is_measured(before.at, after.at)
        )


def _ratio(total: float, count: int) -> float | None:
    return total / count if count else None


def _sum(verdicts: Iterable[Verdict]) -> Verdict:
    total: dict[str, float] = {}
    unread = ""
    for verdict in verdicts:
        unread = unread or verdict.unread
        for name, count in verdict.model_dump(exclude={"unread"}).items():
            total[name] = total.get(name, 0.0) + count
    return Verdict.model_validate({**total, "unread": unread})

"""The result of a run: its seconds, percentiles and faults, and whether the objectives held. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from pydantic import BaseModel

from loadtest.latency import Latencies
from loadtest.news import Second, Verdict
from loadtest.scenario import Scenario
from loadtest.server_side import ServerMoment

LATE_MS: Final = 50.0
"""If the generator sends later than this (p99), it measures its own lateness."""

FAULTS: Final = (
    *("missing", "doubled", "disordered", "altered", "leaked"),
    *("not_acked", "not_stored", "stored_wrong", "holes", "refused", "absent", "not_understood"),
)


class ShownSecond(BaseModel):
    """The figures of one second of all students. Times are in ms."""

    at: int
    online: int
    planned: int
    acked: int
    refused: int
    repeated: int
    received: int
    p50: float
    p90: float
    p99: float
    most: float
    ack_p50: float
    ack_p99: float
    generator_cpu: float
    waits_for: str = ""

    @classmethod
    def of(cls, second: Second) -> "ShownSecond":
        """Return the figures of a second."""
        deliver, ack = Latencies(second.deliver), Latencies(second.ack)
        deliver.add(Latencies(second.other_deliver))
        ack.add(Latencies(second.other_ack))
        return cls(
            **second.model_dump(include=set(cls.model_fields)),
            p50=deliver.percentile_ms(50),
            p90=deliver.percentile_ms(90),
            p99=deliver.percentile_ms(99),
            most=deliver.percentile_ms(100),
            ack_p50=ack.percentile_ms(50),
            ack_p99=ack.percentile_ms(99),
            generator_cpu=second.cpu_s,
        )


class Percentiles(BaseModel):
    """Percentiles in ms, and the number of values."""

    count: int
    p50: float
    p90: float
    p99: float
    p999: float
    most: float

    @classmethod
    def of(cls, latencies: Latencies) -> "Percentiles":
        """Return the percentiles of latencies."""
        p50, p90, p99, p999, most = (latencies.percentile_ms(one) for one in (50, 90, 99, 99.9, 100))
        return cls(count=latencies.total, p50=p50, p90=p90, p99=p99, p999=p999, most=most)

    def known(self, name: str) -> float | None:
        """Return a percentile by its field's name; None if there is no value."""
        return getattr(self, name) if self.count else None


class ServersSample(BaseModel):
    """A sample of all servers; ``at`` is in seconds of the run's clock."""

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
    """None, as all figures of measured seconds, if there was no whole one, or nothing arrived in it."""
    messages_per_s: float | None
    server_us_per_delivery: float | None
    server_cpu: dict[str, float]
    others_cpu: float | None = None
    generator_us_per_delivery: float | None
    ended_early_s: float | None = None
    """When it was ended early, in seconds from its start; nothing after that was measured."""
    watched: list[str] = []
    """The servers that were given, sampled or not."""
    judged: list[Judged]
    moments: list[ShownSecond]
    """Each second; saved results know it by this name."""
    servers: list[ServersSample]

    @property
    def never_seen(self) -> list[str]:
        """The servers that were given and could not be sampled once."""
        return [name for name in self.watched if not any(name in sample.servers for sample in self.servers)]

    @property
    def ok(self) -> bool:
        """Whether every objective held."""
        return all(one.held for one in self.judged)


def carriers(watched: Collection[str]) -> list[list[str]]:
    """Return the edges and the brokers among the given servers: what they use is the price of a delivery."""
    return [[name for name in watched if name.startswith(prefix)] for prefix in ("edge", "kafka")]


def cores_carrying(watched: Collection[str], cores: Mapping[str, float]) -> list[float | None]:
    """Return the cores of all edges, and of all brokers; None if there is none, or one was not seen.

    Without the CPU of one that was given, a delivery would seem cheaper than it is.
    """
    return [
        sum(cores[name] for name in names) if names and cores.keys() >= {*names} else None
        for names in carriers(watched)
    ]


def cores_between(before: ServersSample, after: ServersSample) -> dict[str, float]:
    """Return how many cores each server used between two samples, without servers that restarted."""
    used_s = {
        name: after.servers[name].cpu_s - of.cpu_s
        for name, of in before.servers.items()
        if name in after.servers
    }
    return {name: used / (after.at - before.at) for name, used in used_s.items() if used >= 0}


def cores_used(between: Iterable[tuple[ServersSample, ServersSample]]) -> dict[str, float]:
    """Return how many cores each server used in all these intervals between samples."""
    worked: dict[str, list[tuple[float, float]]] = {}
    for before, after in between:
        took = after.at - before.at
        for name, cores in cores_between(before, after).items():
            worked.setdefault(name, []).append((cores * took, took))
    return {name: sum(used for used, _ in of) / sum(took for _, took in of) for name, of in worked.items()}


def faults(verdict: Verdict) -> dict[str, int]:
    """Return the faults of a run, by name. Temporary refusals are retried and are no faults."""
    counted = {name: getattr(verdict, name) for name in FAULTS}
    return {name: count for name, count in counted.items() if count}


def in_words(wrong: Mapping[str, int]) -> str:
    """Return faults as text."""
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in wrong.items()) or "0 faults"


def judge(result: Result) -> list[Judged]:
    """Compare a result with its scenario's objectives. Losing nothing is always one."""
    return [*_faultless(result), *_in_time(result), *_at_its_price(result), *_carried(result)]


def _faultless(result: Result) -> Iterator[Judged]:
    verdict = result.verdict
    wrong = faults(verdict)
    yield Judged(
        what="everything arrives once, in order",
        wanted="0 faults",
        got=in_words(wrong),
        held=not wrong,
    )
    if not verdict.said and result.scenario.objectives.online is None:
        yield Judged(what="something is said", wanted="≥ 1 message", got="nothing was said", held=False)
    if verdict.unread:
        yield Judged(
            what="history has all of it",
            wanted="0 not stored",
            got=f"history could not be read: {verdict.unread}",
            held=False,
        )


def _in_time(result: Result) -> Iterator[Judged]:
    wanted = result.scenario.objectives
    times = (
        ("send → receive, p50", wanted.p50_ms, result.deliver, result.deliver.p50),
        ("send → receive, p99", wanted.p99_ms, result.deliver, result.deliver.p99),
        ("send → ack, p99", wanted.ack_p99_ms, result.ack, result.ack.p99),
    )
    for what, most, of, got in times:
        if most is not None and of.count:
            yield _at_most(what, got, most, "ms")
        elif most is not None:
            yield Judged(what=what, wanted=f"≤ {most:g} ms", got="nothing came", held=False)
    if any(most is not None for _, most, _, _ in times):
        yield _at_most("the generator itself is on time (p99)", result.late.p99, LATE_MS, "ms")


def _at_its_price(result: Result) -> Iterator[Judged]:
    most = result.scenario.objectives.server_us_per_delivery
    if most is not None and all(carriers(result.watched)):
        yield _at_most("CPU of edges and broker a delivery", result.server_us_per_delivery, most, "µs")


def _carried(result: Result) -> Iterator[Judged]:
    online = result.scenario.objectives.online
    if result.ended_early_s is not None:
        yield Judged(
            what="carried to its end",
            wanted=f"{result.scenario.seconds:.0f} s",
            got=f"ended after {result.ended_early_s:.0f} s",
            held=False,
        )
    if online is not None:
        yield Judged(
            what="students online",
            wanted=f"≥ {online:,}",
            got=f"{result.online_most:,}",
            held=result.online_most >= online,
        )


def formatted(value: float | None, unit: str) -> str:
    """Return a figure with its unit as text."""
    if value is None:
        return "unknown"
    digits = 0 if unit in {"", "/s"} else 2 if unit == "cores" else 1
    return f"{value:,.{digits}f} {unit}".rstrip()


def _at_most(what: str, got: float | None, most: float, unit: str) -> Judged:
    held = got is not None and got <= most
    return Judged(what=what, wanted=f"≤ {most:g} {unit}", got=formatted(got, unit), held=held)

"""A result as a run makes it, for tests of what is judged and shown."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from loadtest.collector import Collector
from loadtest.latency import bucket_of
from loadtest.news import Second, Verdict
from loadtest.results import Result, ServersSample
from loadtest.scenario import Objectives, Phase, Scenario
from loadtest.server_side import MACHINE, ServerMoment


def verdict(faults: Mapping[str, Any]) -> Verdict:
    """Return a verdict of one process without other faults than those given."""
    counts: dict[str, Any] = dict.fromkeys(Verdict.model_fields, 0)
    known = {"students": 10, "said": 50, "cpu_s": 1.0, "unread": ""}
    return Verdict.model_validate(counts | known | dict(faults))


def result(
    *,
    latency_ms: int = 20,
    objectives: Objectives | None = None,
    name: str = "test",
    faults: Mapping[str, Any] = MappingProxyType({}),
) -> Result:
    """Return a result of two seconds of coming and ten of talk, 100 deliveries each, with three servers."""
    scenario = Scenario(
        name=name,
        about="A test's.",
        students=10,
        phases=(
            Phase(name="come online", seconds=2, measured=False),
            Phase(name="talk & <more>", seconds=10, each_s=1),
        ),
        objectives=objectives or Objectives(),
    )
    collector = Collector(scenario)
    for at in range(12):
        # While students come everything is slow, which must not count.
        slow, counted = [(bucket_of(5_000_000), 100)], [(bucket_of(latency_ms * 1000), 100)]
        second = Second(at=at, online=10, planned=10, acked=10, received=100, late=[(0, 10)], cpu_s=0.001)
        of_second = {"deliver": counted, "ack": counted, "own": counted}
        of_others = {"other_deliver": slow, "other_ack": slow}
        collector.add(second.model_copy(update=of_second if at >= 2 else of_others))
        servers = {
            "edge-1": ServerMoment(cpu_s=5 + at * 0.0015, memory_bytes=9e7),
            "kafka": ServerMoment(cpu_s=7 + at * 0.0005, memory_bytes=9e7),
            "store": ServerMoment(cpu_s=at * 0.5, memory_bytes=1e8, lag=3),
            MACHINE: ServerMoment(cpu_s=100 + at * 1.503),
        }
        collector.servers.append(ServersSample(at=at, servers=servers))
    return collector.result(
        run="abc",
        started="2026-01-01T00:00:00",
        machine="a test's",
        gateway="http://gateway",
        verdicts=[verdict(faults)],
        watched=("edge-1", "kafka", "store"),
    )

"""How long one decision takes, and how that grows with the number of edges."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from statistics import fmean, median
from time import process_time
from typing import Final

from dispatcher.crowd import Load, Loads
from dispatcher.load_rule import balanced
from dispatcher.shard_table import ShardTable, edges_changed
from tests.dispatch_simulation.run import Run
from tests.dispatch_simulation.scenarios import SCENARIOS

SIZES: Final = (10, 100, 1_000, 10_000)
USERS_AN_EDGE: Final = 10_000
LEAST_EDGES: Final = 100
"""Among fewer, what does not grow would hide what does."""

TIMES: Final = 9
"""Each decision is made so often; the median counts."""


@dataclass(frozen=True, slots=True)
class Point:
    """The median CPU times of decisions among so many edges, in ms, by what was to be decided."""

    edges: int
    ms: Mapping[str, float]


def measured(edges: int, seed: int) -> Point:
    """Measure decisions on a table that has come to rest under skewed digits."""
    run = Run(SCENARIOS["rack-loss"], edges, edges * USERS_AN_EDGE, seed)
    run.warm_up()
    table, loads = run.table, run.loads()
    return Point(edges, {what: _median_ms(decide) for what, decide in _decisions(table, loads)})


def _decisions(table: ShardTable, loads: Loads) -> Iterator[tuple[str, Callable[[], object]]]:
    some = sorted(table.serving)[len(table.serving) // 2]
    full = {**loads, some: replace(loads[some], connected=loads[some].capacity)}
    newcomer = {**loads, "new": Load(0, loads[some].capacity, ())}
    yield "all is well", lambda: balanced(table, loads)
    yield "one edge is full", lambda: balanced(table, full)
    yield "one edge dies", lambda: edges_changed(table, {some: "dead"}, loads)
    yield "one edge joins", lambda: edges_changed(table, {"new": "serving"}, newcomer)


def _median_ms(decide: Callable[[], object]) -> float:
    times = []
    for _ in range(TIMES):
        before = process_time()
        decide()
        times.append((process_time() - before) * 1000)
    return median(times)


def exponent(points: Sequence[Point], what: str) -> float:
    """Return k of the n**k that fits best."""
    logs = [(log(point.edges), log(point.ms[what])) for point in points if point.edges >= LEAST_EDGES]
    mean_n, mean_ms = (fmean(values) for values in zip(*logs, strict=True))
    return sum((n - mean_n) * (ms - mean_ms) for n, ms in logs) / sum((n - mean_n) ** 2 for n, _ in logs)

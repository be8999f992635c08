"""One scenario: at each step all edges report, the leader's term settles, and clients follow its table."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from time import process_time
from typing import Final

from dispatcher.crowd import Load
from dispatcher.shard_table import Move, ShardTable
from dispatcher.term import Pace, Term
from tests.dispatch_simulation.fleet import Fleet, FleetRates
from tests.dispatch_simulation.population import Population
from tests.dispatch_simulation.scenarios import Scenario

CALM: Final = 0.6
"""How full all edges together are when everybody of the population is online."""

MAX_WARM_UP_S: Final = 100
REST_S: Final = 12
"""After so many seconds without a move the table rests."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the clock: how full edges are, what moved, and what the decision took. Shares are of 1."""

    at_s: float
    mean: float
    p99: float
    fullest: float
    changed: int
    """Edges that came or left."""
    moves: int
    moved: float
    """The part of all people who went to another edge."""
    shards: int
    serving: int
    wanted: int
    stuck: int
    decision_ms: float


class Run:
    """A leader and its fleet. The clock is the fleet's: a step at a time."""

    def __init__(self, scenario: Scenario, edges: int, users: int, seed: int) -> None:
        self._users = users
        self._scenario = scenario
        self._chance = Random(seed)
        rates = FleetRates(users, max(1, round(users / edges / CALM)))
        self._fleet = Fleet((f"edge-{n:05d}" for n in range(edges)), rates, Population.zipf(seed))
        self._fleet.online = scenario.begins_with
        self._term = Term(None, Pace())
        self._began = 0.0

    @property
    def table(self) -> ShardTable:
        """Return the leader's table."""
        return self._term.table

    def loads(self) -> dict[str, Load]:
        """Return what edges say now."""
        return {
            report.edge: Load(report.connected, report.capacity, report.spread)
            for report in self._fleet.reports()
        }

    def warm_up(self) -> None:
        """Let the table come to rest while everybody follows it at once."""
        still = 0
        while still < REST_S and self._fleet.now < MAX_WARM_UP_S:
            moves, _ = self._decide()
            self._fleet.settle_at_once(self._term.table)
            still = 0 if moves else still + 1

    def steps(self) -> Iterator[Step]:
        """Let the scenario happen; yield the figures of each step."""
        self._began, self._fleet.step_s = self._fleet.now, self._scenario.step_s
        for _ in self._scenario.happens(self._fleet, self._chance):
            yield self._step()

    def _decide(self) -> tuple[tuple[Move, ...], float]:
        """Return what all reports of this step move, and the CPU time that the decision took, in ms."""
        for report in self._fleet.reports():
            self._term.add_report(report, self._fleet.now)
        before = process_time()
        moves = self._term.settle(self._fleet.now)
        return moves, (process_time() - before) * 1000

    def _step(self) -> Step:
        fleet, term = self._fleet, self._term
        serving = term.table.serving
        moves, decision_ms = self._decide()
        fleet.moved = 0.0
        fleet.follow(term.table, moves)
        full = sorted(fleet.fullness(edge) for edge, state in fleet.states.items() if state == "serving")
        return Step(
            at_s=fleet.now - self._began,
            mean=sum(full) / len(full),
            p99=full[len(full) * 99 // 100],
            fullest=full[-1],
            changed=len(serving ^ term.table.serving),
            moves=len(moves),
            moved=fleet.moved / self._users,
            shards=len(term.table.shards),
            serving=len(term.table.serving),
            wanted=term.edges_wanted,
            stuck=len(term.stuck),
            decision_ms=decision_ms,
        )

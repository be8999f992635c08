"""Edges as the simulator knows them: whose clients are connected where, and what each edge reports.

Clients are told to move at a bounded rate, so for a while they are not where the table wants them. Those who
log on meanwhile go there at once.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Literal

from dispatcher.shard_draft import Draft, Piece, atom_at, point_of_atom
from dispatcher.shard_table import Move, ShardTable
from schemas.log_records import MAX_SPREAD, EdgeReported
from tests.dispatch_simulation.population import Population

State = Literal["serving", "draining", "stopped", "dead"]


@dataclass(frozen=True, slots=True)
class FleetRates:
    """``users`` are online at an ordinary time, on edges of this capacity; so many a second an edge tells to
    move, or more where it has to be empty after ``drain_s``."""

    users: int
    capacity: int
    moves_per_s: float = 100.0
    drain_s: float = 20.0


class Fleet:
    """All edges. ``online`` is the part of the population that is there now."""

    def __init__(self, edges: Iterable[str], rates: FleetRates, population: Population) -> None:
        self.states: dict[str, State] = dict.fromkeys(edges, "serving")
        self.now = 0.0
        """Seconds since the start."""
        self.step_s = 1.0
        self.online = 0.0
        self.moved = 0.0
        """How many clients have changed their edge since this was last set to 0."""
        self._rates = rates
        self._population = population
        self._last = population, 0.0
        self._where = Draft(ShardTable().shards, self.states)
        self._strays: set[str] = set()
        self._drained_at: dict[str, float] = {}
        self._known: dict[str, tuple[float, tuple[int, ...]]] = {}

    @property
    def population(self) -> Population:
        """Return where people stand."""
        return self._population

    @population.setter
    def population(self, population: Population) -> None:
        self._population = population
        self._known.clear()

    def become(self, edge: str, state: State) -> None:
        """Let ``edge`` be in a state. Dead or stopped, its clients look for another one."""
        self.states[edge] = state
        self._strays.add(edge)
        if state == "draining":
            self._drained_at[edge] = self.now + self._rates.drain_s

    def connected(self, edge: str) -> int:
        """Return how many clients ``edge`` has."""
        return round(self._seen(edge)[0] * self.online * self._rates.users)

    def fullness(self, edge: str) -> float:
        """Return the share of its capacity that is in use."""
        return self._seen(edge)[0] * self.online * self._rates.users / self._rates.capacity

    def is_empty(self, edge: str) -> bool:
        """Whether nobody is connected to it any more."""
        return self._where.held[edge] == 0

    def reports(self) -> Iterator[EdgeReported]:
        """Yield what each edge says now. Nothing is checked again: these records go nowhere."""
        for edge, state in self.states.items():
            if state != "dead":
                yield EdgeReported.model_construct(
                    edge=edge,
                    url=f"http://{edge}",
                    capacity=self._rates.capacity,
                    connected=self.connected(edge),
                    state=state,
                    messages_per_s=None,
                    spread=self._seen(edge)[1],
                )

    def settle_at_once(self, table: ShardTable) -> None:
        """Let a step pass after which everybody is where the table wants them."""
        self.now += self.step_s
        self._where = Draft(table.shards, self.states)
        self._known.clear()
        self._strays.clear()
        self._last = self._population, self.online

    def follow(self, table: ShardTable, moves: Iterable[Move]) -> None:
        """Let a step pass: those who are elsewhere than the table wants go there, so many as may."""
        self.now += self.step_s
        self._strays |= {move.from_edge for move in moves if move.from_edge is not None}
        starts = [shard.start for shard in table.shards] if self._strays else []
        for edge in sorted(self._strays):
            strays = list(self._strays_of(edge, table, starts))
            waiting = sum(self._people(piece) for piece, _ in strays)
            new = sum(max(0.0, self._people(piece) - self._before(piece)) for piece, _ in strays)
            budget = self._budget(edge, waiting - new) + new
            for piece, taker in strays:
                if budget <= 0:
                    break
                budget -= self._send(edge, piece, taker, budget)
            if not strays and self.states[edge] not in ("draining", "dead"):
                self._strays.discard(edge)
        self._last = self._population, self.online

    def _budget(self, edge: str, waiting: float) -> float:
        if self.states[edge] in ("dead", "stopped"):
            return inf
        if self.states[edge] == "draining":
            left = max(0.0, self._drained_at[edge] - self.now)
            return max(self._rates.moves_per_s, waiting / (left + self.step_s)) * self.step_s
        return self._rates.moves_per_s * self.step_s

    def _strays_of(self, edge: str, table: ShardTable, starts: list[int]) -> Iterator[tuple[Piece, str]]:
        """Yield the parts whose clients are at ``edge`` while the table wants them elsewhere, and where."""
        for span in self._where.spans_of(edge):
            at = bisect_right(starts, point_of_atom(span.start)) - 1
            while at < len(starts) and atom_at(starts[at]) < span.end:
                shard = table.shards[at]
                if shard.edge is not None and shard.edge != edge:
                    low, high = Piece.between(shard.start, shard.end)
                    yield Piece(max(low, span.start), min(high, span.end)), shard.edge
                at += 1

    def _send(self, edge: str, piece: Piece, taker: str, budget: float) -> float:
        """Let at most ``budget`` people of a part go to ``taker``, from its end; return how many did."""
        people = self._people(piece)
        if people > budget:
            below = self._population.below(point_of_atom(piece.end)) - budget / self._per_share()
            border = atom_at(self._population.point_at(below))
            piece = piece._replace(start=min(max(border, piece.start), piece.end - 1))
            people = self._people(piece)
        self._where.give(piece, taker)
        self._known.pop(edge, None)
        self._known.pop(taker, None)
        self.moved += people
        return people

    def _people(self, piece: Piece) -> float:
        share = self._population.between(point_of_atom(piece.start), point_of_atom(piece.end))
        return share * self._per_share()

    def _before(self, piece: Piece) -> float:
        """Return how many people there were a step ago."""
        population, online = self._last
        share = population.between(point_of_atom(piece.start), point_of_atom(piece.end))
        return share * online * self._rates.users

    def _per_share(self) -> float:
        return max(1e-9, self.online * self._rates.users)

    def _seen(self, edge: str) -> tuple[float, tuple[int, ...]]:
        """Return the share of all people that ``edge`` has, and points at equal ranks among them."""
        if edge not in self._known:
            spans = self._where.spans_of(edge)
            self._known[edge] = spread_over(self._population, spans)
        return self._known[edge]


def spread_over(population: Population, spans: Iterable[Piece]) -> tuple[float, tuple[int, ...]]:
    """Return the share of all people that stands in ``spans``, and points at equal ranks among them."""
    parts = []
    total = 0.0
    for span in spans:
        end = point_of_atom(span.end)
        low = population.below(point_of_atom(span.start))
        share = population.below(end) - low
        parts.append((total, low, share, end))
        total += share
    ranks = [(2 * n + 1) * total / (2 * MAX_SPREAD) for n in range(MAX_SPREAD)] if total > 0 else []
    points = [
        min(end - 1, population.point_at(low + rank - passed))
        for passed, low, share, end in parts
        for rank in ranks
        if passed <= rank < passed + share
    ]
    return total, tuple(points)

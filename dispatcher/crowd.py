"""Counts the clients that each edge has to serve by the table, wherever they are connected now. Pure.

A client whose point another edge holds is moving there, and counts for that edge. So clients of a part that
is given away count for its taker at once: its giver reports them until they have moved, and is not relieved
twice.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.assignments import Shard

EVEN_POINTS: Final = 32
"""An edge that does not say where its clients stand is taken to have them evenly over what it holds."""


@dataclass(frozen=True, slots=True)
class Load:
    """An edge's report of its clients: how many, its capacity, and their points.

    ``spread`` holds ascending points (see `schemas.log_records.spread_of`); None if it is not known.
    """

    connected: int
    capacity: int
    spread: Sequence[int] | None = None


Loads = Mapping[str, Load]


class Crowd:
    """All reported clients, as points; each point stands for a number of clients.

    Points of an edge's report in its own shards are its own; all others are strangers.
    """

    def __init__(self, shards: Sequence[Shard], loads: Loads) -> None:
        self.clients: dict[str, float] = dict.fromkeys(loads, 0.0)
        """How many clients each edge has to serve by the table."""
        self._own: dict[str, Sequence[int]] = {}
        self._weight: dict[str, float] = {}
        self._strangers: list[tuple[int, float]] = []
        even = _even(shards, {edge for edge, load in loads.items() if not load.spread and load.connected})
        for edge, load in loads.items():
            own = load.spread or even.get(edge) or ()
            self._own[edge] = own
            self._weight[edge] = load.connected / len(own) if own else 0.0
        self._sort_out(shards)

    def between(self, edge: str | None, start: int, end: int) -> float:
        """Return the number of clients in ``[start, end)``, all of which ``edge`` holds."""
        low, high = self._own_in(edge, start, end)
        own = (high - low) * self._weight[edge] if edge is not None and high > low else 0.0
        return own + sum(weight for _, weight in self._strangers_in(start, end))

    def cuts(self, edge: str | None, start: int, end: int, shares: Iterable[float]) -> list[int]:
        """Return for each share the point of ``[start, end]`` below which that share of its clients is.

        Each reported point stands for a stretch that reaches half-way to its neighbours, and its clients
        are taken to be spread evenly there.
        """
        low, high = self._own_in(edge, start, end)
        points = self._strangers_in(start, end)
        if edge is not None and high > low:
            weight = self._weight[edge]
            points = sorted([*points, *((point, weight) for point in self._own[edge][low:high])])
        total = sum(weight for _, weight in points)
        return [_quantile(points, start, end, share * total) for share in shares]

    def give(self, from_edge: str | None, to_edge: str, start: int, end: int) -> None:
        """Count the clients of ``[start, end)`` for ``to_edge``."""
        clients = self.between(from_edge, start, end)
        low, high = self._own_in(from_edge, start, end)
        if from_edge in self.clients:
            own = self._own[from_edge]
            for point in own[low:high]:
                insort(self._strangers, (point, self._weight[from_edge]))
            self._own[from_edge] = [*own[:low], *own[high:]]
            self.clients[from_edge] -= clients
        if to_edge in self.clients:
            self.clients[to_edge] += clients

    def _own_in(self, edge: str | None, start: int, end: int) -> tuple[int, int]:
        own = self._own.get(edge, ()) if edge is not None else ()
        return bisect_left(own, start), bisect_left(own, end)

    def _strangers_in(self, start: int, end: int) -> list[tuple[int, float]]:
        low = bisect_left(self._strangers, (start, 0.0))
        return self._strangers[low : bisect_left(self._strangers, (end, 0.0))]

    def _sort_out(self, shards: Sequence[Shard]) -> None:
        """Count each edge's own clients, and put all others among the strangers."""
        at_home = dict.fromkeys(self._own, 0)
        for shard in shards:
            edge = shard.edge
            if edge in at_home:
                own = self._own[edge]
                at_home[edge] += bisect_left(own, shard.end) - bisect_left(own, shard.start)
        starts: list[int] = []
        for edge, count in at_home.items():
            self.clients[edge] += count * self._weight[edge]
            if count < len(self._own[edge]):
                starts = starts or [shard.start for shard in shards]
                self._send_away(edge, shards, starts)
        self._strangers.sort()

    def _send_away(self, edge: str, shards: Sequence[Shard], starts: Sequence[int]) -> None:
        own, weight = [], self._weight[edge]
        for point in self._own[edge]:
            holder = shards[bisect_right(starts, point) - 1].edge
            if holder == edge:
                own.append(point)
                continue
            self._strangers.append((point, weight))
            if holder in self.clients:
                self.clients[holder] += weight
        self._own[edge] = own


def _even(shards: Sequence[Shard], edges: set[str]) -> dict[str, list[int]]:
    """Return ascending points for each of ``edges`` that holds anything: the middles of equal stretches."""
    held: dict[str, list[Shard]] = {}
    for shard in shards if edges else ():
        if shard.edge in edges:
            held.setdefault(shard.edge, []).append(shard)
    return {edge: _even_points(own) for edge, own in held.items()}


def _even_points(shards: Sequence[Shard]) -> list[int]:
    width = sum(shard.end - shard.start for shard in shards)
    places = [(2 * n + 1) * width // (2 * EVEN_POINTS) for n in range(EVEN_POINTS)]
    points, passed = [], 0
    for shard in shards:
        until = passed + shard.end - shard.start
        points += [shard.start + place - passed for place in places if passed <= place < until]
        passed = until
    return points


def _quantile(points: Sequence[tuple[int, float]], start: int, end: int, goal: float) -> int:
    left, passed = start, 0.0
    for n, (point, weight) in enumerate(points):
        right = (point + points[n + 1][0]) // 2 if n + 1 < len(points) else end
        if weight > 0 and passed + weight >= goal:
            return left + round((right - left) * (goal - passed) / weight)
        left, passed = right, passed + weight
    return end

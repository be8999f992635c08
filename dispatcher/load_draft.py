"""A table while load changes it: the crowd, and the few moves that the rules are made of. Pure."""

from collections.abc import Iterator
from itertools import chain
from typing import Final

from dispatcher.crowd import Crowd, Loads
from dispatcher.ranking import Ranking
from dispatcher.shard_draft import DIGIT, Draft, Piece, atom_at, point_of_atom
from schemas.assignments import Shard

FULL: Final = 0.9
"""Of its capacity: an edge that has so many clients is full."""

CALM: Final = 0.6
"""Of its capacity: up to here an edge is calm enough to take back."""

SMALLEST_PART: Final = 1 / 10
"""Of its giver's capacity: no smaller share is cut off. An edge offers half of its fullest shard, then a
quarter, an eighth and so on, until an edge has headroom."""

SMALLEST_WHOLE_SHARD: Final = 1 / 8
"""Of its holder's clients: a whole shard that has so many is given before another is cut."""

LARGEST_PART: Final = 3 / 4
"""No part has more than this share: of the shard's clients where a shard is cut, of its holder's where it is
given whole. Otherwise too little would be left."""

MAX_PARTS: Final = 16
"""The most parts that an edge gives away at one time; the rest follows the next time."""


class LoadDraft:
    """The shards and their crowd. Only edges that serve and have reported give and take."""

    def __init__(self, shards: tuple[Shard, ...], serving: frozenset[str], loads: Loads) -> None:
        self.taking = frozenset(serving & loads.keys())
        self.crowd = Crowd(shards, loads)
        self.touched: set[str] = set()
        """The edges that have given or taken."""
        self._shards = shards
        self._serving = serving
        self._loads = loads
        self._draft: Draft | None = None
        self._by_headroom: Ranking | None = None
        self._fullest: Ranking | None = None

    @property
    def draft(self) -> Draft:
        """Return the shards as spans, made only when something moves: most of the time nothing does."""
        if self._draft is None:
            self._draft = Draft(self._shards, self._serving)
        return self._draft

    def is_full(self, edge: str) -> bool:
        """Return whether some of its clients have to move."""
        return self._headroom(edge) <= 0

    def stays_calm(self, shard: Shard, edge: str) -> bool:
        """Return whether ``edge`` could take a whole shard and stay calm."""
        headroom = CALM * self._loads[edge].capacity - self.crowd.clients[edge]
        return headroom > 0 and self.crowd.between(shard.edge, shard.start, shard.end) <= headroom

    def relieve(self, edge: str) -> bool:
        """Give parts of a full edge to those with most headroom, until it is no longer full.

        Return False if no edge has headroom even for a small part. Clients at one point can't be divided:
        more headroom would not help them.
        """
        for _ in range(MAX_PARTS):
            if not self.is_full(edge):
                break
            parts = self.parts(edge)
            largest = next(parts, None)
            if largest is None:
                break
            taker = self.most_headroom()
            headroom = self._headroom(taker)
            sized = ((part, self.crowd.between(edge, *part)) for part in chain([largest], parts))
            part = next((part for part, clients in sized if clients < headroom), None)
            if part is None:
                return False
            self.give(edge, taker, *part)
        return True

    def give(self, from_edge: str | None, to_edge: str, start: int, end: int) -> None:
        """Let ``to_edge`` hold the points ``[start, end)``, which lie within one shard of ``from_edge``."""
        self.draft.give(Piece.between(start, end), to_edge)
        self.crowd.give(from_edge, to_edge, start, end)
        self.touched |= {from_edge or to_edge, to_edge}
        rankings = [ranking for ranking in (self._by_headroom, self._fullest) if ranking is not None]
        for edge in self.taking & {from_edge, to_edge}:
            for ranking in rankings:
                ranking.changed(edge)

    def parts(self, edge: str) -> Iterator[tuple[int, int]]:
        """Yield the parts that ``edge`` could give, in the order to try them, each by its two ends.

        First a whole shard if one has enough clients, then half of its fullest shard, a quarter and so on.
        """
        spans = ((point_of_atom(start), point_of_atom(end)) for start, end in self.draft.spans_of(edge))
        counted = [(self.crowd.between(edge, *span), -span[0], span) for span in spans]
        if not counted:
            return
        all_clients = self.crowd.clients[edge]
        fullest = clients, _, (start, end) = max(counted)
        whole = max((found for found in counted if found[0] <= LARGEST_PART * all_clients), default=None)
        if whole is not None and (whole == fullest or whole[0] >= SMALLEST_WHOLE_SHARD * all_clients):
            yield whole[2]
        share = 1 / 2
        while share * clients >= SMALLEST_PART * self._loads[edge].capacity:
            border = self.border(edge, start, end, share)
            if border is not None and 0 < self.crowd.between(edge, border, end) <= LARGEST_PART * clients:
                yield border, end
            share /= 2

    def border(self, edge: str | None, start: int, end: int, share: float) -> int | None:
        """Return the roundest point above which this share of the clients is, a third more or less.

        Return None if the span is too narrow to be cut there.
        """
        near = (1 - share * 4 / 3, 1 - share, 1 - share * 2 / 3)
        low, goal, high = (atom_at(point) for point in self.crowd.cuts(edge, start, end, near))
        low, high = max(low, atom_at(start) + 1), min(high, atom_at(end) - 1)
        return point_of_atom(roundest(low, goal, high)) if low <= high else None

    def _headroom(self, edge: str) -> float:
        """Return how many clients it can take before it is full."""
        return FULL * self._loads[edge].capacity - self.crowd.clients[edge]

    def fullness(self, edge: str, more: float = 0.0) -> float:
        """Return the share of its capacity that ``edge`` has to serve, or would have with so many more."""
        return (self.crowd.clients[edge] + more) / self._loads[edge].capacity

    def most_headroom(self) -> str:
        """Return the edge with most headroom."""
        if self._by_headroom is None:
            self._by_headroom = Ranking(self.taking, lambda edge: -self._headroom(edge))
        return self._by_headroom.first()

    def fullest(self) -> str:
        """Return the edge that serves the largest share of its capacity."""
        if self._fullest is None:
            self._fullest = Ranking(self.taking, lambda edge: -self.fullness(edge))
        return self._fullest.first()


def roundest(low: int, goal: int, high: int) -> int:
    """Return the nearest to ``goal`` of the roundest atoms in ``[low, high]``; digits are all as round."""
    step = DIGIT
    while -(-low // step) * step > high:
        step //= 2
    nearest = (goal + step // 2) // step * step
    return min(max(nearest, -(-low // step) * step), high // step * step)

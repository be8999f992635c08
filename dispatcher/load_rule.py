"""The rule for load: full edges give parts away at once, calm edges take back what joins shards. Pure.

It works on top of the rule of shares (shard_table.py). Between the marks nothing happens: what was given away
because of load comes back only after load has fallen by a third.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from operator import itemgetter
from typing import Final

from dispatcher.crowd import Loads
from dispatcher.load_draft import CALM, FULL, LoadDraft
from dispatcher.shard_draft import point_of_atom
from dispatcher.shard_table import Bounds, Move, ShardTable, moves_between
from schemas.assignments import Shard

GROWTH: Final = 2
"""At most so many times the serving edges are wanted at once, however many clients there are."""


@dataclass(frozen=True, slots=True)
class Balanced:
    """The next table by load, its moves, and the full edges that found no headroom (``stuck``).

    ``clients`` says how many clients each edge that reported has to serve by the new table, and
    ``edges_wanted`` how many edges should serve: see `_wanted`.
    """

    table: ShardTable
    moves: tuple[Move, ...]
    clients: Mapping[str, float]
    stuck: tuple[str, ...]
    edges_wanted: int


def balanced(table: ShardTable, loads: Loads, resting: frozenset[str] = frozenset()) -> Balanced:
    """Return the table that load requires: the same one while no edge is full, and none calm enough.

    ``loads`` are the last reports of all living edges; an edge without one neither gives nor takes.
    ``resting`` edges take no part in moves that may wait. The whole table is checked: call this once for all
    reports of an interval, not for each.
    """
    draft = LoadDraft(table.shards, table.serving, loads)
    full = frozenset(edge for edge in draft.taking if draft.is_full(edge))
    stuck = tuple(edge for edge in sorted(full) if not draft.relieve(edge))
    _join_shards(draft, table, resting)
    after, moves = table, list[Move]()
    if draft.touched:
        after = replace(table, shards=draft.draft.shards())
        moves = [
            replace(move, reason="full") if move.from_edge in full else move
            for move in moves_between(table, after, "emptied")
        ]
    wanted = _wanted(len(table.serving), draft, loads, crowded=bool(stuck))
    return Balanced(after, tuple(moves), draft.crowd.clients, stuck, wanted)


def _join_shards(draft: LoadDraft, table: ShardTable, resting: frozenset[str]) -> None:
    """Give shards to the holders of their neighbours if all stay calm, the narrowest first.

    Each such move makes the table smaller. It leaves its giver something, and its taker within its share of
    the circle. An edge takes part in one at most.
    """
    several = [edge for edge, count in Counter(shard.edge for shard in table.shards).items() if count > 1]
    if not several:
        return
    held = Counter[str | None]()
    for shard in table.shards:
        held[shard.edge] += shard.end - shard.start
    most = point_of_atom(Bounds.among(len(table.holders)).most + 1)
    free = draft.taking - resting
    found = [
        (shard.end - shard.start, shard.start, shard, edge)
        for shard, edge in _beside(table.shards, free.intersection(several))
        if edge in free and held[edge] + shard.end - shard.start <= most
    ]
    for *_, shard, edge in sorted(found, key=itemgetter(0, 1)):
        if not draft.touched & {shard.edge, edge} and draft.stays_calm(shard, edge):
            draft.give(shard.edge, edge, shard.start, shard.end)


def _beside(shards: tuple[Shard, ...], givers: frozenset[str]) -> Iterator[tuple[Shard, str | None]]:
    """Yield each shard of ``givers`` with the holder of each of its neighbours."""
    for left, right in pairwise(shards):
        if left.edge in givers:
            yield left, right.edge
        if right.edge in givers:
            yield right, left.edge


def _wanted(serving: int, draft: LoadDraft, loads: Loads, *, crowded: bool) -> int:
    """Return how many edges should serve.

    More if a full one finds no headroom: so many that all clients fill them half-way between the marks. One
    fewer if all clients of the emptiest fit easily on the others.
    """
    capacity = sum(loads[edge].capacity for edge in draft.taking)
    connected = sum(draft.crowd.clients[edge] for edge in draft.taking)
    if crowded:
        enough = ceil(2 * connected * len(draft.taking) / ((FULL + CALM) * capacity))
        return max(serving + 1, min(enough, GROWTH * serving))
    if serving < 2 or len(draft.taking) < serving:
        return max(1, serving)
    spare = min(draft.taking, key=lambda edge: (draft.crowd.clients[edge], edge))
    fits = connected <= CALM * (capacity - loads[spare].capacity)
    return serving - 1 if fits else serving

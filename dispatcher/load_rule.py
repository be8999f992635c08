"""The rule for load: full edges give parts away at once, calm edges take back what joins shards. Pure.

It works on top of the rule of shares (shard_table.py). Between the marks nothing happens: what was given away
because of load comes back only after load has fallen by a third.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import ceil
from typing import Final

from dispatcher.crowd import Crowd, Loads
from dispatcher.load_draft import LoadDraft, Marks
from dispatcher.shard_draft import Piece
from dispatcher.shard_table import Bounds, Move, ShardTable, moves_between
from schemas.assignments import Shard

__all__ = ["Balanced", "Marks", "balanced", "edges_wanted", "emptiest"]

GROWTH: Final = 2
"""At most so many times as many edges as serve are wanted at once, however many clients there are."""


@dataclass(frozen=True, slots=True)
class Balanced:
    """What load makes of a table: the next one, its moves, and who is full and found no room.

    ``clients`` says how many each edge that reported has to serve by the new table.
    """

    table: ShardTable
    moves: tuple[Move, ...]
    clients: Mapping[str, float] = field(default_factory=dict)
    stuck: tuple[str, ...] = ()


def balanced(
    table: ShardTable, loads: Loads, marks: Marks | None = None, resting: frozenset[str] = frozenset()
) -> Balanced:
    """Return the table that load asks for: the same one while no edge is full, and none calm enough.

    ``loads`` are the last reports of all edges that live; an edge without one neither gives nor takes.
    ``resting`` edges take no part in what may wait. It looks at the whole table: call it once for all reports
    of an interval, not for each.
    """
    draft = LoadDraft(table.shards, table.serving, loads, marks or Marks())
    full = [edge for edge in sorted(draft.taking) if draft.is_full(edge)]
    stuck = tuple(edge for edge in full if not draft.relieve(edge))
    _join_shards(draft, table, resting)
    if not draft.touched:
        return Balanced(table, (), draft.crowd.clients, stuck)
    after = replace(table, shards=draft.shards())
    moves = moves_between(table, after, "emptied")
    relieved = frozenset(full)
    named = (replace(move, reason="full") if move.from_edge in relieved else move for move in moves)
    return Balanced(after, tuple(named), draft.crowd.clients, stuck)


def _join_shards(draft: LoadDraft, table: ShardTable, resting: frozenset[str]) -> None:
    """Give shards to the holders of their neighbours where all stay calm, the narrowest first.

    Each such move makes the table smaller. It leaves its giver something, and its taker within its share of
    the circle. An edge takes part in one at most.
    """
    free = draft.taking - resting
    candidates = [(_width(shard), shard.start, shard, edge) for shard, edge in _joinable(table.shards)]
    if not candidates:
        return
    held = Counter[str | None]()
    for shard in table.shards:
        held[shard.edge] += _width(shard)
    most = Bounds.among(len(table.holders)).most
    for width, _, shard, edge in sorted(candidates, key=lambda found: found[:2]):
        giver = shard.edge
        if width == 0 or giver is None or not {giver, edge} <= free - draft.touched:
            continue
        if held[edge] + width <= most and draft.stays_calm(shard, edge):
            draft.give(giver, edge, shard.start, shard.end)


def _joinable(shards: tuple[Shard, ...]) -> Iterator[tuple[Shard, str]]:
    """Yield each shard whose holder has another one, with who holds what is beside it."""
    count = Counter(shard.edge for shard in shards)
    if len(count) == len(shards):
        return
    for left, right in pairwise(shards):
        if count[left.edge] > 1 and right.edge is not None:
            yield left, right.edge
        if count[right.edge] > 1 and left.edge is not None:
            yield right, left.edge


def _width(shard: Shard) -> int:
    return Piece.between(shard.start, shard.end).width


def edges_wanted(table: ShardTable, loads: Loads, marks: Marks | None = None) -> int:
    """Return how many edges should serve.

    More where a full one finds no room: as many as have all clients half-way between the marks. One fewer
    where all that the emptiest has fits easily on the others.
    """
    marks = marks or Marks()
    serving = len(table.serving)
    if not serving:
        return 1
    everybody = Crowd(table.shards, loads).clients
    clients = {edge: everybody[edge] for edge in table.serving if edge in everybody}
    capacity = sum(loads[edge].capacity for edge in clients)
    connected = sum(clients.values())
    crowded = any(count >= marks.full * loads[edge].capacity for edge, count in clients.items())
    if crowded and balanced(table, loads, marks).stuck:
        enough = ceil(2 * connected * len(clients) / ((marks.full + marks.roomy) * max(1, capacity)))
        return max(serving + 1, min(enough, GROWTH * serving))
    spare = emptiest(table, loads)
    rest = capacity - (loads[spare].capacity if spare is not None else 0)
    fits = serving > 1 and len(clients) == serving and connected <= marks.roomy * rest
    return serving - 1 if fits else serving


def emptiest(table: ShardTable, loads: Loads) -> str | None:
    """Return the edge whose drain would move the fewest clients; None where none has reported."""
    clients = Crowd(table.shards, loads).clients
    known = [edge for edge in sorted(table.serving) if edge in clients]
    return min(known, key=lambda edge: clients[edge], default=None)

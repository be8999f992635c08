"""The rule for load: a full edge gives half a shard away, and halves come together when load falls. Pure.

It works on top of the rule of shares (shard_table.py): each change here is one part of the circle that goes
from one edge to another. Numbers are taken to be spread evenly over what an edge holds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from dispatcher.shard_draft import Draft, Piece
from dispatcher.shard_table import Bounds, Change, ShardTable, moves_between

FULL: Final = 0.9
"""Of its capacity: an edge that has so many clients gives some away, and takes none that fill it so far."""

ROOMY: Final = 0.6
"""Of its capacity: an edge takes a half back where it stays below. Far from FULL: nothing must swing."""


@dataclass(frozen=True, slots=True)
class Load:
    """How many clients an edge has, and for how many it is made."""

    connected: float
    capacity: int

    @property
    def full(self) -> bool:
        """Whether some of its clients have to go elsewhere."""
        return self.connected >= FULL * self.capacity

    @property
    def room(self) -> float:
        """How many clients it can take before it is full."""
        return FULL * self.capacity - self.connected


Loads = Mapping[str, Load]


def edge_full(table: ShardTable, edge: str, loads: Loads) -> Change:
    """Give the upper half of the fullest shard of ``edge`` to the edge with most room.

    Nothing moves where that half would fill every other edge: then one more edge is wanted.
    """
    draft = Draft(table.shards, table.holders)
    span = max(draft.spans_of(edge), key=lambda span: (span.width, -span.start), default=None)
    if span is None or span.width < 2 or edge not in loads:
        return table, ()
    half = span._replace(start=_middle(span))
    clients = loads[edge].connected * half.width / draft.held[edge]
    others = [other for other in sorted(table.serving - {edge}) if other in loads]
    receiver = max(others, key=lambda other: loads[other].room, default=None)
    if receiver is None or loads[receiver].room <= clients:
        return table, ()
    return _given(table, draft, half, receiver, "full")


def edge_emptied(table: ShardTable, edge: str, loads: Loads) -> Change:
    """Let ``edge`` take back the neighbour of one of its shards: the reverse of a split.

    The smallest part goes that makes the table smaller, leaves its holder something, fits easily, and
    unbalances the shares no more than they are.
    """
    draft = Draft(table.shards, table.holders)
    if edge not in table.serving or edge not in loads:
        return table, ()
    most = Bounds.among(len(table.holders)).most
    for piece, owner in sorted(draft.beside(edge), key=lambda found: (found[0].width, found[0].start)):
        if owner not in loads or draft.held[owner] == piece.width:
            continue
        clients = loads[owner].connected * piece.width / draft.held[owner]
        fits = loads[edge].connected + clients <= ROOMY * loads[edge].capacity
        if fits and draft.held[edge] + piece.width <= max(most, draft.held[owner]):
            return _given(table, draft, piece, edge, "emptied")
    return table, ()


def edges_wanted(table: ShardTable, loads: Loads) -> int:
    """Return how many edges should serve: one more where a full one finds no room, one fewer where all
    that the emptiest has fits easily on the others."""
    serving = sorted(table.serving)
    full = (edge for edge in serving if edge in loads and loads[edge].full)
    stuck = any(not edge_full(table, edge, loads)[1] for edge in full)
    if stuck or not serving:
        return len(serving) + 1
    spare = emptiest(table, loads)
    if spare is None or len(serving) == 1:
        return len(serving)
    rest = [loads[edge] for edge in serving if edge != spare and edge in loads]
    connected = sum(load.connected for load in rest) + loads[spare].connected
    fits = connected <= ROOMY * sum(load.capacity for load in rest)
    return len(serving) - 1 if fits else len(serving)


def emptiest(table: ShardTable, loads: Loads) -> str | None:
    """Return the edge whose drain would move the fewest clients."""
    return min(
        (edge for edge in sorted(table.serving) if edge in loads),
        key=lambda edge: loads[edge].connected,
        default=None,
    )


def loads_after(change: Change, before: ShardTable, loads: Loads) -> dict[str, Load]:
    """Return what the loads are once everybody has moved: until then reports say less than is known."""
    draft = Draft(before.shards, before.holders)
    after = dict(loads)
    for move in change[1]:
        if move.from_edge is None or move.from_edge not in loads:
            continue
        width = Piece.between(move.start, move.end).width
        clients = loads[move.from_edge].connected * width / draft.held[move.from_edge]
        for edge, more in ((move.from_edge, -clients), (move.to_edge, clients)):
            if edge in after:
                after[edge] = replace(after[edge], connected=after[edge].connected + more)
    return after


def _given(table: ShardTable, draft: Draft, piece: Piece, edge: str, reason: str) -> Change:
    draft.give(piece, edge)
    after = replace(table, shards=draft.shards())
    return after, tuple(moves_between(table, after, reason))


def _middle(span: Piece) -> int:
    """Return the roundest point of the middle third: a digit gives halves, three digits give two and one."""
    low, high = span.start + -(-span.width // 3), span.end - -(-span.width // 3)
    return min(_round_points(low, high), key=lambda point: abs(2 * point - span.start - span.end))


def _round_points(low: int, high: int) -> Iterator[int]:
    step = 1
    while -(-low // (2 * step)) * 2 * step <= high:
        step *= 2
    yield from range(-(-low // step) * step, high + 1, step)

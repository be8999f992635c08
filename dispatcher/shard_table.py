"""The rule that changes the table: a table and an event give a table and its moves. No I/O, no clock.

Measure the circle in units: the fewest of 10, 20, 40, ... (digits, their halves, quarters) that give every
edge one. With n edges that serve, each holds at least floor(units / n) and at most ceil(units / n) of them.
An edge that leaves gives away only what it holds; one that joins takes its floor, or what the others hold
above their ceiling where that is more. No table within those bounds can be reached by moving less.

That holds while few clients are connected. With more, load_shares.py shares out the parts by clients.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from dispatcher.crowd import Loads
from dispatcher.given_back import Held, given_back
from dispatcher.load_shares import shared_by_load
from dispatcher.shard_draft import ATOMS, Draft, Piece
from schemas.assignments import Shard, shard_label
from schemas.up_number import CIRCLE


@dataclass(frozen=True, slots=True)
class Move:
    """A part of the circle that another edge holds from now on. None means no edge."""

    start: int
    end: int
    from_edge: str | None
    to_edge: str | None
    reason: str

    @property
    def label(self) -> str:
        """The moved part, as it is shown to people."""
        return shard_label(self.start, self.end)


@dataclass(frozen=True, slots=True)
class ShardTable:
    """Which edge holds which shard, and which edges there are.

    ``draining`` edges are alive and hold nothing, unless no edge serves: then an edge that still answers
    is better than none.
    """

    shards: tuple[Shard, ...] = (Shard(start=0, end=CIRCLE, edge=None),)
    serving: frozenset[str] = field(default=frozenset())
    draining: frozenset[str] = field(default=frozenset())

    @property
    def holders(self) -> frozenset[str]:
        """The edges among which the circle is divided."""
        return self.serving or self.draining


Change = tuple[ShardTable, tuple[Move, ...]]


def edges_changed(
    table: ShardTable, states: Mapping[str, str], loads: Loads | None = None, held: Held | None = None
) -> Change:
    """Return the table after these edges' states have changed: serving, draining, or gone for any reason.

    ``loads`` are the last reports of all edges, also of those that left: their clients will come back. With
    them parts are shared out by clients; without them, or with few clients, by width. ``held`` is what edges
    held before they fell silent: those that come back with their clients get it back.
    """
    changed = frozenset(states)
    serving = frozenset(edge for edge, state in states.items() if state == "serving")
    draining = frozenset(edge for edge, state in states.items() if state == "draining")
    known = replace(
        table, serving=table.serving - changed | serving, draining=table.draining - changed | draining
    )
    shards = None
    if loads and known.serving:
        coming = serving - {shard.edge for shard in table.shards}
        known = replace(known, shards=given_back(table.shards, coming, loads, held or {}))
        shards = shared_by_load(known.shards, known.serving, loads)
    after = replace(known, shards=shards or _shared_by_width(known))
    moves = moves_between(table, after, "joined")
    left = states.keys() - serving
    named = (
        replace(move, reason=states[move.from_edge]) if move.from_edge in left else move for move in moves
    )
    return after, tuple(named)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What each of n edges holds, at least and at most, in atoms."""

    unit: int
    least: int
    most: int

    @classmethod
    def among(cls, edges: int) -> Self:
        """Return the bounds for so many edges (one or more)."""
        units = 10
        while units < min(edges, ATOMS):
            units *= 2
        unit = ATOMS // units
        return cls(unit, units // edges * unit, -(-units // edges) * unit)


def _shared_by_width(table: ShardTable) -> tuple[Shard, ...]:
    draft = Draft(table.shards, table.holders)
    if table.holders:
        bounds = Bounds.among(len(table.holders))
        _give_orphans(draft, bounds)
        for edge in sorted(edge for edge in table.serving if draft.held[edge] == 0):
            _take_share(draft, bounds, edge)
    return draft.shards()


def _give_orphans(draft: Draft, bounds: Bounds) -> None:
    """Hand out what no edge holds, wide pieces first, to neighbours where the bounds allow it.

    ``spare`` is what may go anywhere, because nobody below the least needs it.
    """
    waiting = _wide_first_then_outer(draft, bounds.unit)
    finest = min(bounds.unit, draft.finest())
    needed = sum(max(0, bounds.least - held) for held in draft.held.values())
    spare = sum(piece.width for piece in waiting) - needed
    while waiting:
        piece = waiting.pop()
        edge = _receiver(draft, bounds, piece, spare)
        if edge is None and piece.width > finest:
            waiting.extend(reversed(piece.halves(finest)))
            continue
        edge = edge or draft.emptiest()
        spare -= _beyond_need(draft, bounds, piece, edge)
        draft.give(piece, edge)


def _receiver(draft: Draft, bounds: Bounds, piece: Piece, spare: int) -> str | None:
    """Return the edge that takes the whole piece: a neighbour, to keep the table small, or the emptiest."""
    for edge in (*draft.neighbours(piece), draft.emptiest()):
        fits = draft.held[edge] + piece.width <= bounds.most
        if fits and _beyond_need(draft, bounds, piece, edge) <= max(0, spare):
            return edge
    return None


def _beyond_need(draft: Draft, bounds: Bounds, piece: Piece, edge: str) -> int:
    """Return how much of the piece ``edge`` does not need to reach the least."""
    return max(0, piece.width - max(0, bounds.least - draft.held[edge]))


def _wide_first_then_outer(draft: Draft, unit: int) -> list[Piece]:
    """Cut the orphans at the borders of units. The pieces to be handed out first are last."""
    ranked = []
    for orphan in draft.orphans():
        pieces = list(_cut(orphan, unit))
        for n, piece in enumerate(pieces):
            ranked.append((-piece.width, min(n, len(pieces) - 1 - n), piece))
    return [piece for *_, piece in sorted(ranked, reverse=True)]


def _cut(piece: Piece, unit: int) -> Iterable[Piece]:
    start = piece.start
    while start < piece.end:
        end = min(piece.end, (start // unit + 1) * unit)
        yield piece._replace(start=start, end=end)
        start = end


def _take_share(draft: Draft, bounds: Bounds, edge: str) -> None:
    """Take the least that ``edge`` must hold, or all that others hold above the most, up to that most."""
    above = sum(max(0, held - bounds.most) for held in draft.held.values())
    wanted = min(bounds.most, max(bounds.least, above))
    while draft.held[edge] < wanted:
        donor = draft.fullest(beside=edge)
        excess = draft.held[donor] - bounds.most
        can_give = excess if excess > 0 else draft.held[donor] - bounds.least
        amount = min(wanted - draft.held[edge], can_give)
        if donor == edge or amount <= 0:
            return
        draft.give(draft.next_to_take(donor, amount, beside=edge), edge)


def moves_between(before: ShardTable, after: ShardTable, reason: str) -> Iterable[Move]:
    """Yield the parts whose holder has changed; neighbouring parts with the same change are one move."""
    old, new = iter(before.shards), iter(after.shards)
    old_shard, new_shard = next(old), next(new)
    start, move = 0, None
    while start < CIRCLE:
        end = min(old_shard.end, new_shard.end)
        if move is not None and (old_shard.edge, new_shard.edge) == (move.from_edge, move.to_edge):
            move = replace(move, end=end)
        else:
            if move is not None:
                yield move
            move = None
            if old_shard.edge != new_shard.edge:
                move = Move(start, end, old_shard.edge, new_shard.edge, reason)
        start = end
        old_shard = next(old, old_shard) if old_shard.end == end else old_shard
        new_shard = next(new, new_shard) if new_shard.end == end else new_shard
    if move is not None:
        yield move

"""Gives an edge that comes back with its clients its earlier parts, before shares are counted. Pure.

An edge that was silent for a few seconds counts as dead, and may still have all its clients. If it got some
other part of the circle, as a new edge does, they would have to move, and the clients of that part, too.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby, pairwise
from typing import Final

from dispatcher.crowd import Loads
from dispatcher.load_draft import roundest
from dispatcher.shard_draft import ATOMS, Draft, Piece, atom_at, point_of_atom
from schemas.assignments import Shard

Held = Mapping[str, Sequence[Shard]]
"""The parts that edges last lost; the edge that lost its parts first is first."""

Part = tuple[Piece, str | None]
"""A piece of one span, and its holder."""

FEWEST_CLIENTS: Final = 1 / 3
"""An edge whose earlier parts are not known counts as new if it has less than this share of the clients that
the largest edge has."""

SHORTEST_RUN: Final = 1 / 8
"""A stretch stays with its holder if an edge that comes back has less than this share of its points there."""


def given_back(
    shards: tuple[Shard, ...], coming: Iterable[str], loads: Loads, held: Held
) -> tuple[Shard, ...]:
    """Return the shards after each ``coming`` edge that reports clients has got back the parts with them.

    If its earlier parts are known, it gets no others, and none of them in which others have more clients by
    now. An edge whose parts now have other clients gets nothing here: it counts as new.
    """
    back = [edge for edge in sorted(coming) if _points(loads, edge)]
    if not back:
        return shards
    draft = Draft(shards, {shard.edge for shard in shards if shard.edge is not None}.union(back))
    borders = sorted({at for parts in held.values() for part in parts for at in (part.start, part.end)})
    for edge in back:
        known = edge in held
        parts = _once_held(draft, edge, loads, held, borders) if known else _own_stretches(draft, edge, loads)
        for piece, _ in list(parts):
            draft.give(piece, edge)
    return draft.shards()


def _once_held(draft: Draft, edge: str, loads: Loads, held: Held, borders: Sequence[int]) -> list[Part]:
    """Return the earlier parts of ``edge`` in which it has more clients than the present holder.

    Return none unless more than half of all its clients are in them. Each piece between two ``borders`` of
    what any edge held is judged by itself: another edge may have lost just that piece before.
    """
    back, clients = [], 0.0
    for shard in held[edge]:
        inside = borders[bisect_left(borders, shard.start) : bisect_right(borders, shard.end)]
        for piece, holder in (
            part for ends in pairwise(inside) for part in draft.within(Piece.between(*ends))
        ):
            own, others = _clients(loads, edge, piece), _clients(loads, holder, piece)
            if own > others or (own == others and not _lost_it_first(holder, edge, piece, held)):
                back.append((piece, holder))
                clients += own
    return back if 2 * clients > loads[edge].connected else []


def _lost_it_first(holder: str | None, edge: str, piece: Piece, held: Held) -> bool:
    """Return whether ``holder`` lost the piece before ``edge`` did, so that it may have got it back."""
    first = next((loser for loser in held if loser in (holder, edge)), edge)
    start, end = (point_of_atom(atom) for atom in piece)
    return first != edge and any(shard.start <= start and end <= shard.end for shard in held[first])


def _own_stretches(draft: Draft, edge: str, loads: Loads) -> Iterator[Part]:
    """Yield the stretches in which, by the reports, only clients of ``edge`` are.

    They end at the roundest borders, which are most likely the earlier ones.
    """
    own = _points(loads, edge)
    if loads[edge].connected < FEWEST_CLIENTS * max(load.connected for load in loads.values()):
        return
    for span, holder in draft.within(Piece(0, ATOMS)):
        if holder is not None and holder not in loads:
            continue
        own_inside, others = _inside(own, span), _inside(_points(loads, holder), span)
        for n, run in groupby(own_inside, key=partial(bisect_left, others)):
            points = list(run)
            start = _border(others[n - 1], points[0]) if n > 0 else span.start
            end = _border(points[-1], others[n]) if n < len(others) else span.end
            if start < end and len(points) >= SHORTEST_RUN * len(own):
                yield Piece(start, end), holder


def _border(left: int, right: int) -> int:
    """Return the roundest atom between two points, of which ``left`` stays below it."""
    low, high = atom_at(left + 1), atom_at(right + 1) - 1
    return roundest(low, (low + high) // 2, high) if low <= high else low


def _points(loads: Loads, edge: str | None) -> Sequence[int]:
    return loads[edge].spread or () if edge is not None and edge in loads else ()


def _inside(points: Sequence[int], piece: Piece) -> Sequence[int]:
    start, end = (bisect_left(points, point_of_atom(atom)) for atom in piece)
    return points[start:end]


def _clients(loads: Loads, edge: str | None, piece: Piece) -> float:
    points = _points(loads, edge)
    if edge is None or not points:
        return 0.0
    return len(_inside(points, piece)) * loads[edge].connected / len(points)

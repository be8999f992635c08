"""The rule of shares by clients, not by width, for edges that join or leave while many are connected. Pure.

shard_table.py tries this rule first. Width says little then: an edge with a narrow part of a crowded digit
has no headroom for more of it.
"""

from typing import Final

from dispatcher.crowd import Load, Loads
from dispatcher.load_draft import FULL, MAX_PARTS, LoadDraft
from dispatcher.shard_draft import Piece, atom_at, point_of_atom
from schemas.assignments import Shard

CROWDED: Final = 0.1
"""Of all capacity: with fewer clients their number says little, and parts are shared out by their width."""

CRUMB: Final = 1 / 32
"""Of its taker's capacity: a part with fewer clients is not divided any more."""

NEWCOMER_HAS_ENOUGH: Final = 1 / 3
"""Of the fullest edge's fullness: a new edge that is as full takes no more. It aims at half of what the
fullest had, and gets a third more or less."""


def shared_by_load(
    shards: tuple[Shard, ...], serving: frozenset[str], loads: Loads
) -> tuple[Shard, ...] | None:
    """Return the shards when ``serving`` edges hold all of them.

    Return None if load says too little: one of them has not reported, or all clients together are no more
    than `CROWDED`. Parts without a holder go to a neighbour or to the edge with most headroom, cut until the
    taker stays within `_limit`. An edge that holds nothing takes about half of what the fullest has.
    Nothing else moves. An edge that left without a report counts as if it had the mean number of clients.
    """
    if not serving <= loads.keys():
        return None
    mean = sum(load.connected for load in loads.values()) / len(loads)
    holders = {shard.edge for shard in shards if shard.edge is not None}
    known = {**dict.fromkeys(holders - loads.keys(), Load(round(mean), 1)), **loads}
    capacity = sum(loads[edge].capacity for edge in serving)
    connected = sum(load.connected for load in known.values())
    if connected <= CROWDED * capacity:
        return None
    draft = LoadDraft(shards, serving, known)
    limit = _limit(connected / capacity)
    holder_at = {atom_at(shard.start): shard.edge for shard in shards}
    for orphan in draft.draft.orphans():
        _place(draft, orphan, holder_at[orphan.start], limit)
    for edge in sorted(edge for edge, held in draft.draft.held.items() if held == 0):
        _take_share(draft, edge, limit)
    return draft.draft.shards()


def _limit(mean: float) -> float:
    """Return how full a part may make its taker: half-way from the mean to the mark, or 1/16 of its capacity
    above the mean, if that is more.

    So the limit is above the mean even if all are full: some edge can take a part that is small enough.
    """
    return max((mean + FULL) / 2, mean + 2 * CRUMB)


def _place(draft: LoadDraft, orphan: Piece, holder: str | None, limit: float) -> None:
    waiting = [orphan]
    while waiting:
        piece = waiting.pop()
        part = point_of_atom(piece.start), point_of_atom(piece.end)
        clients = draft.crowd.between(holder, *part)
        fallback = draft.most_headroom()
        takers = (*draft.draft.neighbours(piece), fallback)
        taker = next((edge for edge in takers if draft.fullness(edge, clients) <= limit), None)
        if taker is None and draft.fullness(fallback, clients) - draft.fullness(fallback) > CRUMB:
            border = draft.border(holder, *part, 1 / 2)
            if border is not None:
                waiting += [Piece.between(border, part[1]), Piece.between(part[0], border)]
                continue
        draft.give(holder, taker or fallback, *part)


def _take_share(draft: LoadDraft, edge: str, limit: float) -> None:
    for _ in range(MAX_PARTS):
        fullest = draft.fullest()
        if draft.fullness(edge) >= NEWCOMER_HAS_ENOUGH * draft.fullness(fullest):
            return
        sized = ((part, draft.crowd.between(fullest, *part)) for part in draft.parts(fullest))
        part = next((part for part, clients in sized if draft.fullness(edge, clients) <= limit), None)
        if part is None:
            return
        draft.give(fullest, edge, *part)

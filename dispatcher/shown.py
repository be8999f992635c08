"""Makes the JSON for operators: a leader's own table and edges, or on a standby the published table. Pure."""

from collections.abc import Iterable
from typing import Any, Final

from dispatcher.edge_reports import KnownEdge
from dispatcher.term import Term
from schemas.assignments import Shard, TableAssigned
from schemas.up_number import CIRCLE

Shown = dict[str, Any]

NO_TABLE: Final = TableAssigned(epoch=0, version=0, shards=(Shard(start=0, end=CIRCLE, edge=None),), urls={})


def show_term(term: Term, now: float) -> Shown:
    """Return a leader's table, its edges, and the last moves, newest first. Times are of the log's clock."""
    namesakes = term.reports.namesakes(now)
    return {
        "leading": True,
        "leader": term.name,
        "epoch": term.epoch,
        "version": term.version,
        "edges_serving": len(term.table.serving),
        "edges_wanted": term.edges_wanted,
        "edges_asked": term.edges_asked,
        "full_without_room": list(term.stuck),
        "shards": _shards(term.table.shards),
        "edges": [
            _edge(edge, known, now, edge in term.asked_to_drain, namesakes.get(edge))
            for edge, known in sorted(term.reports.edges.items())
        ],
        "moves": [
            {
                "shard": move.label,
                "from": move.from_edge,
                "to": move.to_edge,
                "reason": move.reason,
                "age_s": round(now - at, 1),
            }
            for at, move in reversed(term.last_moves)
        ],
    }


def show_published(table: TableAssigned | None) -> Shown:
    """Return what a standby knows: the published table, and who leads. It reads no reports."""
    table = table or NO_TABLE
    edges = sorted({*table.urls, *table.draining})
    return {
        "leading": False,
        "leader": table.leader or None,
        "epoch": table.epoch,
        "version": table.version,
        "edges_serving": len(table.urls.keys() - set(table.draining)),
        "edges_wanted": None,
        "edges_asked": table.edges_asked,
        "full_without_room": [],
        "shards": _shards(table.shards),
        "edges": [
            _edge(
                edge,
                KnownEdge("draining" if edge in table.draining else "serving", table.urls.get(edge, ""), 0.0),
                0.0,
                edge in table.draining,
            )
            for edge in edges
        ],
        "moves": [],
    }


def _edge(
    edge: str, known: KnownEdge, now: float, asked_to_drain: bool, namesake: str | None = None
) -> Shown:
    report = known.report
    return {
        "edge": edge,
        "url": known.url,
        "namesake": namesake,
        "state": known.state,
        "asked_to_drain": asked_to_drain,
        "connected": report.connected if report else None,
        "capacity": report.capacity if report else None,
        "messages_per_s": report.messages_per_s if report else None,
        "report_age_s": round(max(0.0, now - known.heard_at), 1) if report else None,
    }


def _shards(shards: Iterable[Shard]) -> list[Shown]:
    return [
        {"shard": shard.label, "start": shard.start, "end": shard.end, "edge": shard.edge} for shard in shards
    ]

"""What a leader knows and decides in its term: the table, the edges, the last moves. Pure: no I/O, no clock.

A term begins with the table that stands in the log, never with nothing.
"""

from collections import deque
from typing import Final

from dispatcher.edge_reports import EdgeEvent, EdgeReports
from dispatcher.shard_table import Move, ShardTable, edge_draining, edge_gone, edge_joined
from schemas.assignments import TableAssigned
from schemas.log_records import EdgeReported

MAX_MOVES: Final = 100


class Term:
    """One leader's time in office: its epoch, and the table as it changes under it."""

    def __init__(self, published: TableAssigned | None, *, dead_after_s: float, now: float = 0.0) -> None:
        self.epoch = 1 + (0 if published is None else published.epoch)
        self.version = 0
        self.reports = EdgeReports(dead_after_s)
        self.last_moves: deque[tuple[float, Move]] = deque(maxlen=MAX_MOVES)
        self.table = ShardTable()
        if published is not None:
            self.reports.expect(published.urls.items(), now)
            self.table = ShardTable(published.shards, frozenset(published.urls))

    def take(self, report: EdgeReported, now: float) -> tuple[Move, ...]:
        """Note an edge's report; return what it moved."""
        event = self.reports.take(report, now)
        return () if event is None else self._apply(event, now)

    def pass_time(self, now: float) -> tuple[Move, ...]:
        """Declare dead who is silent; return what that moved."""
        return tuple(move for event in self.reports.silent(now) for move in self._apply(event, now))

    def content(self) -> tuple[tuple[object, ...], dict[str, str]]:
        """Return what followers see of the table: it is published again when this has changed."""
        return self.table.shards, self._urls()

    def next_table(self) -> TableAssigned:
        """Return the table as it is published next: newer than any before it."""
        self.version += 1
        return TableAssigned(
            epoch=self.epoch, version=self.version, shards=self.table.shards, urls=self._urls()
        )

    def _urls(self) -> dict[str, str]:
        """Those who serve, and those who still hold something because nobody serves."""
        holding = {shard.edge for shard in self.table.shards}
        return {
            edge: self.reports.edges[edge].url
            for edge in sorted(self.table.serving | self.table.draining)
            if edge in self.table.serving or edge in holding
        }

    def _apply(self, event: EdgeEvent, now: float) -> tuple[Move, ...]:
        match event.state:
            case "serving":
                self.table, moves = edge_joined(self.table, event.edge)
            case "draining":
                self.table, moves = edge_draining(self.table, event.edge)
            case _:
                self.table, moves = edge_gone(self.table, event.edge, event.state)
        self.last_moves.extend((now, move) for move in moves)
        return moves

"""A leader's state and decisions in its term: the table, edges, operators' wishes. Pure: no I/O, no clock.

A term begins with the newest table in the log. Records are added one by one; `settle` then applies all of
them to the table at once.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from dispatcher.crowd import Load
from dispatcher.edge_reports import EdgeReports
from dispatcher.load_rule import balanced
from dispatcher.shard_table import Move, ShardTable, edges_changed
from schemas.assignments import Shard, TableAssigned
from schemas.log_records import REPORT_EVERY_S, DrainAsked, EdgeReported, EdgesAsked

DEAD_AFTER_S: Final = 3 * REPORT_EVERY_S
"""An edge that misses three reports is dead."""

DEAF_GO_AFTER_S: Final = 15.0
"""Each edge checks every ten seconds whether the log answers: by then all have checked."""

MAX_MOVES: Final = 100

MAX_WISHES: Final = 200
"""The most edges that were asked to drain and never reported 'stopped'; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True)
class Pace:
    """An edge is dead after ``dead_after_s`` of silence; load is checked every ``balance_every_s``; for
    ``rest_s`` after a move its two edges take no part in moves that may wait."""

    dead_after_s: float = DEAD_AFTER_S
    balance_every_s: float = REPORT_EVERY_S
    rest_s: float = 10.0


class Term:
    """One leader's term: its epoch, and the table as it changes. Its clock begins at 0."""

    def __init__(self, published: TableAssigned | None, pace: Pace, *, name: str = "") -> None:
        self.name = name
        self.epoch = 1 + (0 if published is None else published.epoch)
        self.version = 0
        self.reports = EdgeReports(pace.dead_after_s)
        self.last_moves: deque[tuple[float, Move]] = deque(maxlen=MAX_MOVES)
        self.table = ShardTable()
        self.asked_to_drain: dict[str, None] = {}
        self.edges_asked = 0
        self.edges_wanted = 0
        """How many edges should serve. 0 until load was checked."""
        self.stuck: tuple[str, ...] = ()
        """Full edges that found no headroom."""
        self._some_deaf_since: float | None = None
        self._pace = pace
        self._balanced_at = 0.0
        self._moved_at: dict[str, float] = {}
        self._changed: dict[str, str] = {}
        self._held: dict[str, tuple[Shard, ...]] = {}
        """The shards that edges last lost, in that order: these edges may come back with their clients."""
        if published is not None:
            self._take_over(published)

    def _take_over(self, published: TableAssigned) -> None:
        self.asked_to_drain = dict.fromkeys(published.draining)
        self.edges_asked = published.edges_asked
        known = frozenset(published.urls)
        # Where an edge that was asked to drain has a URL in the table, no edge serves: all of them drain.
        draining = known if known & self.asked_to_drain.keys() else frozenset()
        self.reports.expect(published, draining)
        self.reports.remember(self.asked_to_drain)
        self.table = ShardTable(published.shards, known - draining, draining)

    def add_report(self, report: EdgeReported, now: float) -> None:
        """Add an edge's report. One that was asked to drain counts as draining, before it knows itself."""
        if self.reports.note_namesake(report, now):
            return
        if report.state == "stopped":
            self.asked_to_drain.pop(report.edge, None)
        elif report.edge in self.asked_to_drain or (report.deaf and self._deaf_may_go(now)):
            report = report.model_copy(update={"state": "draining"})
        state = self.reports.add(report, now)
        if state is not None:
            self._changed[report.edge] = state

    def add_wish(self, wish: DrainAsked | EdgesAsked) -> None:
        """Add an operator's wish."""
        if isinstance(wish, EdgesAsked):
            self.edges_asked = wish.edges
        elif not wish.drain:
            self.asked_to_drain.pop(wish.edge, None)
        else:
            self.asked_to_drain[wish.edge] = None
            while len(self.asked_to_drain) > MAX_WISHES:
                del self.asked_to_drain[next(iter(self.asked_to_drain))]
            if self.reports.drain(wish.edge):
                self._changed[wish.edge] = "draining"

    def settle(self, now: float) -> tuple[Move, ...]:
        """Apply reports, wishes, silence and, from time to time, load to the table; return the moves."""
        self._changed |= dict.fromkeys(self.reports.newly_dead(now), "dead")
        self._track_deaf_edges(now)
        postponed = self._edges_to_postpone()
        changed = {edge: state for edge, state in self._changed.items() if edge not in postponed}
        self._changed = dict.fromkeys(postponed, "serving")
        moves: tuple[Move, ...] = ()
        if changed:
            before = self.table
            self.table, moves = edges_changed(before, changed, self._loads(changed), self._held)
            self._remember_held(before)
            self._remember_moves(moves, now)
        if now - self._balanced_at >= self._pace.balance_every_s:
            self._balanced_at = now
            moves += self._balance(now)
        return moves

    def content(self) -> dict[str, Any]:
        """Return the fields of the table that followers use: a change of them is published.

        Its URLs are those of the serving edges; if there is none, of those that still hold a shard.
        """
        holding = {shard.edge for shard in self.table.shards}
        named = {
            edge: self.reports.edges[edge]
            for edge in sorted(self.table.serving | self.table.draining)
            if edge in self.table.serving or edge in holding
        }
        return {
            "shards": self.table.shards,
            "urls": {edge: known.url for edge, known in named.items()},
            "processes": {edge: known.process for edge, known in named.items() if known.process is not None},
            "draining": tuple(self.asked_to_drain),
            "edges_asked": self.edges_asked,
        }

    def next_table(self) -> TableAssigned:
        """Return the table to be published next, with a new version."""
        self.version += 1
        return TableAssigned(epoch=self.epoch, version=self.version, leader=self.name, **self.content())

    def _deaf_may_go(self, now: float) -> bool:
        """Return whether at least half of the living edges have read all of the log for long enough.

        If fewer read it, clients are no better off elsewhere. It takes a while to know: edges notice one
        after the other that a partition has no leader, or has one again.
        """
        return self._some_deaf_since is not None and now - self._some_deaf_since >= DEAF_GO_AFTER_S

    def _track_deaf_edges(self, now: float) -> None:
        """Track since when some living edges are deaf, and at least half of them are not."""
        living = [known for known in self.reports.edges.values() if known.alive]
        deaf = sum(known.report is not None and known.report.deaf for known in living)
        if not 0 < 2 * deaf <= len(living):
            self._some_deaf_since = None
        elif self._some_deaf_since is None:
            self._some_deaf_since = now

    def _edges_to_postpone(self) -> frozenset[str]:
        """Return the edges that came with clients, while some edge of the published table has not reported.

        Until then this leader does not know where whose clients are, and could give back the wrong parts.
        """
        edges = self.reports.edges
        coming = frozenset(
            edge
            for edge, state in self._changed.items()
            if state == "serving" and (report := edges[edge].report) is not None and report.connected
        )
        unheard = (known.state == "serving" and known.report is None for known in edges.values())
        return coming if coming and any(unheard) else frozenset()

    def _remember_held(self, before: ShardTable) -> None:
        """Keep the shards that edges have lost just now, for as long as these edges are known."""
        gone = (before.serving | before.draining) - self.table.serving
        lost: dict[str, tuple[Shard, ...]] = {}
        for shard in before.shards if gone else ():
            if shard.edge in gone:
                lost[shard.edge] = (*lost.get(shard.edge, ()), shard)
        edges = self.reports.edges.keys() - lost.keys()
        self._held = {edge: shards for edge, shards in self._held.items() if edge in edges} | lost

    def _balance(self, now: float) -> tuple[Move, ...]:
        if not self.table.serving:
            # No edge can give or take.
            self.stuck, self.edges_wanted = (), max(1, self.edges_asked)
            return ()
        loads = self._loads(())
        # When the term begins all edges rest: earlier moves are not known.
        resting = frozenset(edge for edge in loads if now - self._moved_at.get(edge, 0.0) < self._pace.rest_s)
        result = balanced(self.table, loads, resting=resting)
        self.table, self.stuck = result.table, result.stuck
        self.edges_wanted = max(result.edges_wanted, self.edges_asked)
        self._remember_moves(result.moves, now)
        return result.moves

    def _loads(self, left: Iterable[str]) -> dict[str, Load]:
        """Return the last loads of all living edges, and of those that just left: their clients come back."""
        edges = self.reports.edges
        living = {edge for edge, known in edges.items() if known.alive}
        return {
            edge: Load(report.connected, report.capacity, report.spread)
            for edge in sorted(living.union(left))
            if edge in edges and (report := edges[edge].report) is not None
        }

    def _remember_moves(self, moves: Iterable[Move], now: float) -> None:
        for move in moves:
            self.last_moves.append((now, move))
            for edge in (move.from_edge, move.to_edge):
                if edge is not None:
                    self._moved_at[edge] = now
        self._moved_at = {edge: at for edge, at in self._moved_at.items() if now - at < self._pace.rest_s}

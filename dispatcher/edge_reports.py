"""Keeps the edges' last reports, and says which edges are dead. Pure: times are arguments.

Times are seconds of one clock (see log_clock.py). `Term` applies the changes to the table.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from schemas.assignments import TableAssigned
from schemas.ids import ProcessId, may_be_one
from schemas.log_records import EdgeReported

State = Literal["serving", "draining", "stopped", "dead"]

MAX_GONE: Final = 200
"""The most edges that are gone and still shown to operators; the oldest are forgotten first."""

MAX_REPLACED: Final = 8
"""The most earlier processes of an edge that are recognised; the oldest are forgotten first."""


@dataclass(slots=True)
class KnownEdge:
    """One edge. ``report`` is None while it is known only from an earlier leader's table."""

    state: State
    url: str
    heard_at: float
    report: EdgeReported | None = None
    replaced: tuple[str, ...] = ()
    """Processes of this name and URL that reported before ``process``."""
    process: ProcessId | None = None
    """Which process of the edge reported last, to this leader or to the one before."""

    @property
    def alive(self) -> bool:
        """Whether it still serves clients, as far as is known."""
        return self.state in ("serving", "draining")

    def is_other_than(self, report: EdgeReported) -> bool:
        """Return whether the report is of another edge: from another URL, or from a replaced process.

        A new process of the same URL is this edge, restarted. But if this one serves and that one does not,
        it is an earlier process which is about to end.
        """
        if report.url != self.url:
            return True
        if may_be_one(self.process, report.process):
            return False
        return report.process in self.replaced or (self.state == "serving" and report.state != "serving")


class EdgeReports:
    """The last report of each edge. An edge without a report for more than ``dead_after_s`` is dead."""

    def __init__(self, dead_after_s: float) -> None:
        self._dead_after_s = dead_after_s
        self.edges: dict[str, KnownEdge] = {}
        self._namesakes: dict[str, tuple[str, float]] = {}

    def expect(self, published: TableAssigned, draining: Container[str]) -> None:
        """Count the edges of a published table as alive since 0, until they miss their reports."""
        for edge, url in published.urls.items():
            state: State = "draining" if edge in draining else "serving"
            self.edges[edge] = KnownEdge(state, url, 0.0, process=published.processes.get(edge))

    def remember(self, edges: Iterable[str]) -> None:
        """Count edges without a URL in the table as dead until they report: they were asked to drain."""
        for edge in edges:
            self.edges.setdefault(edge, KnownEdge("dead", "", 0.0))

    def drain(self, edge: str) -> bool:
        """Count an edge that serves as draining. Return whether that is a change."""
        known = self.edges.get(edge)
        if known is None or known.state != "serving":
            return False
        known.state = "draining"
        return True

    def note_namesake(self, report: EdgeReported, now: float) -> bool:
        """Return whether this is a report of another edge under a living edge's name, and remember that.

        With the reports of both, all clients would be sent to the one and back, once a second. So the other's
        reports are ignored while the known edge reports.
        """
        known = self.edges.get(report.edge)
        if known is None or not known.alive or not known.is_other_than(report):
            return False
        if now - known.heard_at > self._dead_after_s:
            return False
        self._namesakes[report.edge] = report.url, now
        return True

    def add(self, report: EdgeReported, now: float) -> State | None:
        """Store a report; return the edge's state if it has changed, otherwise None."""
        known = self.edges.pop(report.edge, None)
        replaced = () if known is None else known.replaced
        if known is not None and known.process is not None and known.process != report.process:
            replaced = (*replaced, known.process)[-MAX_REPLACED:]
        self.edges[report.edge] = KnownEdge(report.state, report.url, now, report, replaced, report.process)
        if known is not None and known.state == report.state:
            return None
        if report.state == "stopped":
            self._forget_oldest()
        return report.state

    def namesakes(self, now: float) -> dict[str, str]:
        """Return the names of living edges that others use, too, by recent reports, and the others' URLs."""
        self._namesakes = {
            edge: (url, at)
            for edge, (url, at) in self._namesakes.items()
            if edge in self.edges and now - at <= self._dead_after_s
        }
        return {edge: url for edge, (url, _) in self._namesakes.items()}

    def newly_dead(self, now: float) -> list[str]:
        """Return the edges that have died since the last call."""
        dead = [
            edge
            for edge, known in self.edges.items()
            if known.alive and now - known.heard_at > self._dead_after_s
        ]
        # Those who die now are forgotten later: their last reports say whose clients will come back.
        if dead:
            self._forget_oldest()
        for edge in dead:
            self.edges[edge].state = "dead"
        return dead

    def forgive_silence(self, now: float, grace_s: float) -> None:
        """Forgive all silence so far, and ``grace_s`` more: no report could be read."""
        for known in self.edges.values():
            if known.alive:
                known.heard_at = max(known.heard_at, now + grace_s)

    def counts(self) -> dict[State, int]:
        """Return how many edges are in each state."""
        found: dict[State, int] = {"serving": 0, "draining": 0, "stopped": 0, "dead": 0}
        for known in self.edges.values():
            found[known.state] += 1
        return found

    def _forget_oldest(self) -> None:
        """Forget the oldest edges that are gone. (The mapping is in the order of last reports.)"""
        gone = [edge for edge, known in self.edges.items() if not known.alive]
        for edge in gone[: max(0, len(gone) - MAX_GONE)]:
            del self.edges[edge]

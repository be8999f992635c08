"""What the edges last said, and which have fallen silent. Pure: the clock's readings are arguments.

Every reading is in seconds of one clock (see log_clock.py). The term tells the table what has changed.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from schemas.assignments import TableAssigned
from schemas.ids import ProcessId, may_be_one
from schemas.log_records import EdgeReported

State = Literal["serving", "draining", "stopped", "dead"]

MAX_GONE: Final = 200
"""Edges that are gone and still shown to operators; the oldest are forgotten first."""

MAX_REPLACED: Final = 8
"""Earlier processes of an edge that are known again when they report; the oldest are forgotten first."""


@dataclass(slots=True)
class KnownEdge:
    """One edge. ``report`` is None while it is only known from a table that another leader published."""

    state: State
    url: str
    heard_at: float
    report: EdgeReported | None = None
    replaced: tuple[str, ...] = ()
    """Processes of this name and URL that reported before the one of ``report``."""
    heard: ProcessId | None = None
    """Which process of the edge reported last, to this leader or to the one before."""

    @property
    def alive(self) -> bool:
        """Whether it still answers clients, as far as is known."""
        return self.state in ("serving", "draining")

    @property
    def process(self) -> ProcessId | None:
        """Which process of the edge reported last to this leader."""
        return None if self.report is None else self.report.process

    def is_other_than(self, report: EdgeReported) -> bool:
        """Whether the report is another's: it comes from another URL, or from a process that was replaced.

        A process of the same URL that was never heard is this edge, restarted; but where this one serves and
        that one does not, it is an earlier process which is about to end.
        """
        if report.url != self.url:
            return True
        if may_be_one(self.process, report.process):
            return False
        return report.process in self.replaced or (self.state == "serving" and report.state != "serving")


class EdgeReports:
    """The last report of each edge. An edge that is silent for longer than ``dead_after_s`` is dead."""

    def __init__(self, dead_after_s: float) -> None:
        self._dead_after_s = dead_after_s
        self.edges: dict[str, KnownEdge] = {}
        self._namesakes: dict[str, tuple[str, float]] = {}

    def expect(self, published: TableAssigned, draining: Container[str]) -> None:
        """Count the edges of a published table as alive at 0, until they miss their reports from then on."""
        for edge, url in published.urls.items():
            state: State = "draining" if edge in draining else "serving"
            self.edges[edge] = KnownEdge(state, url, 0.0, heard=published.processes.get(edge))

    def remember(self, edges: Iterable[str]) -> None:
        """Count edges without a URL in any table as dead until they are heard: they were asked to drain."""
        for edge in edges:
            self.edges.setdefault(edge, KnownEdge("dead", "", 0.0))

    def drain(self, edge: str) -> bool:
        """Note that an edge has to drain, whatever it said last. Return whether that is new."""
        known = self.edges.get(edge)
        if known is None or known.state != "serving":
            return False
        known.state = "draining"
        return True

    def note_namesake(self, report: EdgeReported, now: float) -> bool:
        """Return whether this is the report of another under a living edge's name, and note that.

        Whoever took the reports of both would send all clients to the one and back, once a second. So
        nothing of the other's is taken while the known one is heard.
        """
        known = self.edges.get(report.edge)
        if known is None or not known.alive or not known.is_other_than(report):
            return False
        if now - known.heard_at > self._dead_after_s:
            return False
        self._namesakes[report.edge] = report.url, now
        return True

    def take(self, report: EdgeReported, now: float) -> State | None:
        """Note a report; return the edge's state where that is another than before."""
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
        """Return the names of living edges that others report, too, lately, and the others' URLs."""
        self._namesakes = {
            edge: (url, at)
            for edge, (url, at) in self._namesakes.items()
            if edge in self.edges and now - at <= self._dead_after_s
        }
        return {edge: url for edge, (url, _) in self._namesakes.items()}

    def silent(self, now: float) -> list[str]:
        """Return the edges that have died since this was asked last."""
        dead = [
            edge
            for edge, known in self.edges.items()
            if known.alive and now - known.heard_at > self._dead_after_s
        ]
        # Those who die now are forgotten later: their last reports say whose clients will be back.
        if dead:
            self._forget_oldest()
        for edge in dead:
            self.edges[edge].state = "dead"
        return dead

    def excuse(self, now: float, grace_s: float) -> None:
        """Forgive all silence so far, and so many seconds more: nobody could be heard."""
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
        """The mapping is in the order of last reports, so the first that are gone are the oldest."""
        gone = [edge for edge, known in self.edges.items() if not known.alive]
        for edge in gone[: max(0, len(gone) - MAX_GONE)]:
            del self.edges[edge]

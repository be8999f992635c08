"""Says where clients belong by the newest table, seen from this edge. moves.py decides when they move."""

import random

from runtime import metrics
from runtime.assignments import Assignments
from schemas.assignments import TableAssigned
from schemas.ids import EdgeId
from schemas.up_number import CIRCLE


class Elsewhere:
    """The newest table, as far as it concerns this edge."""

    def __init__(self, edge: EdgeId, assignments: Assignments) -> None:
        self._edge = edge
        self._assignments = assignments
        self._held_here: tuple[tuple[int, int], ...] | None = None
        """What this edge holds, as intervals; None if the table does not name it."""
        self.held_here_since: tuple[int, int] | None = None
        """The version of the last table that changed what this edge holds: most tables change other edges
        only, and move no client of this one. It also shows a part that was lost and given back between two
        checks."""
        assignments.on_change(self._note)

    def _note(self, table: TableAssigned) -> None:
        mine = ((shard.start, shard.end) for shard in table.shards if shard.edge == self._edge)
        held = tuple(mine) if self._edge in table.urls else None
        metrics.EDGE_SHARE.set(sum(end - start for start, end in held or ()) / CIRCLE)
        if held != self._held_here:
            self._held_here, self.held_here_since = held, table.age_key

    @property
    def version(self) -> tuple[int, int] | None:
        """The newest table's epoch and version; None before the first one."""
        return None if self._assignments.table is None else self._assignments.table.age_key

    @property
    def asked_to_drain(self) -> bool:
        """Whether an operator wants this edge empty."""
        table = self._assignments.table
        return table is not None and self._edge in table.draining

    def name_fault(self, url: str) -> str | None:
        """Return a fault if the table has another URL than ``url`` for this edge's name."""
        table = self._assignments.table
        known = None if table is None else table.urls.get(self._edge)
        if known in (None, url):
            return None
        return f"clients who belong to {self._edge} are sent to {known}: does another edge have this name?"

    def url_of(self, up: str, *, leaving: bool) -> str | None:
        """Return the URL of the edge where a user belongs; None if that is this one, or not known.

        A table that does not name this edge was made without knowing of it, and is ignored unless the edge is
        ``leaving``. Where two edges have one URL by mistake, whoever is sent there would come back here.
        """
        table = self._assignments.table
        if table is None or (self._edge not in table.urls and not leaving):
            return None
        holder = table.shard_of(up).edge
        url = None if holder in (None, self._edge) else table.urls.get(holder)
        return None if url == table.urls.get(self._edge) else url

    def url_of_another(self, up: str) -> str | None:
        """Return another edge's URL for a user that cannot be let in here: the user's own edge, or any."""
        table = self._assignments.table
        if table is None:
            return None
        others = [url for url in table.urls.values() if url != table.urls.get(self._edge)]
        return self.url_of(up, leaving=True) or (random.choice(others) if others else None)

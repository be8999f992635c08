"""Random sequences of what can happen to edges, and the events of the table that they become."""

from hypothesis import strategies as st

from dispatcher.crowd import Load, Loads
from dispatcher.shard_table import Change, ShardTable, edges_changed
from schemas.up_number import CIRCLE
from tests.unit.dispatcher.crowds import CAPACITY

Event = tuple[str, str]
"""What happens, and to which edge."""


def events(*, edges: int) -> st.SearchStrategy[Event]:
    """Return what can happen to so many edges. Joins are as likely as all ends together."""
    names = st.integers(0, edges - 1).map(lambda n: f"edge-{n:02d}")
    kinds = st.sampled_from(["joined", "joined", "joined", "draining", "dead", "stopped"])
    return st.tuples(kinds, names)


def histories(*, edges: int, length: int) -> st.SearchStrategy[list[Event]]:
    """Return sequences of events among so many edges."""
    return st.lists(events(edges=edges), max_size=length)


def after(table: ShardTable, event: Event, loads: Loads | None = None) -> Change:
    """Return the table after an event, and its moves. An edge that is new to ``loads`` reports nobody."""
    kind, edge = event
    if loads is not None:
        loads = {edge: Load(0, CAPACITY, ()), **loads}
    return edges_changed(table, {edge: "serving" if kind == "joined" else kind}, loads)


def edge_joined(table: ShardTable, edge: str, loads: Loads | None = None) -> Change:
    """Let one edge serve."""
    return edges_changed(table, {edge: "serving"}, loads)


def edge_gone(table: ShardTable, edge: str, loads: Loads | None = None) -> Change:
    """Let one edge be dead."""
    return edges_changed(table, {edge: "dead"}, loads)


def grown(edges: int) -> ShardTable:
    """Return the table of so many edges that joined one by one."""
    table = ShardTable()
    for n in range(edges):
        table, _ = edge_joined(table, f"edge-{n:02d}")
    return table


def widths(table: ShardTable) -> dict[str | None, int]:
    """Return how many points each edge holds."""
    held: dict[str | None, int] = dict.fromkeys(table.holders, 0)
    for shard in table.shards:
        held[shard.edge] = held.get(shard.edge, 0) + shard.end - shard.start
    assert sum(held.values()) == CIRCLE
    return held

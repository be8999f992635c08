"""The laws of splitting and joining by load."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.load_rule import FULL, ROOMY, Load, Loads, edge_emptied, edge_full, edges_wanted, loads_after
from dispatcher.shard_table import ShardTable
from schemas.assignments import TableAssigned
from schemas.up_number import CIRCLE
from tests.unit.dispatcher.events import after, grown, widths

Step = tuple[str, str, dict[str, Load]]


def even(table: ShardTable, connected: float, capacity: int = 1000) -> dict[str, Load]:
    return dict.fromkeys(sorted(table.serving), Load(connected, capacity))


def edge_of(table: ShardTable, label: str) -> str:
    return next(shard.edge or "" for shard in table.shards if shard.label == label)


def holder_of(table: ShardTable, up: str) -> str | None:
    return TableAssigned(epoch=1, version=1, shards=table.shards, urls={}).shard_of(up).edge


def test_the_documented_split() -> None:
    """The edge of digit 3 is full: 03, 13, 23, 33, 43 stay, 53, 63, 73, 83, 93 go to one other edge."""
    table = grown(10)
    full, roomy = edge_of(table, "3"), edge_of(table, "7")
    loads = {**even(table, 500), full: Load(900, 1000), roomy: Load(100, 1000)}
    table, moves = edge_full(table, full, loads)
    assert [(move.label, move.from_edge, move.to_edge, move.reason) for move in moves] == [
        ("3[5-9]", full, roomy, "full")
    ]
    assert {holder_of(table, f"up2019012{tens}3") for tens in "01234"} == {full}
    assert {holder_of(table, f"up2019012{tens}3") for tens in "56789"} == {roomy}
    assert [shard.label for shard in table.shards] == [*"012", "3[0-4]", "3[5-9]", *"456789"]


def test_a_half_is_split_again_by_halves() -> None:
    table = grown(10)
    full = edge_of(table, "3")
    loads = {**even(table, 100), full: Load(950, 1000)}
    for label in ("3[5-9]", "3[25-49]", "3[125-249]"):
        table, moves = edge_full(table, full, loads)
        assert [move.label for move in moves] == [label]


def test_what_was_split_three_times_comes_together_again() -> None:
    before = grown(10)
    full, table = edge_of(before, "3"), before
    for _ in range(20):
        for _ in range(3):
            table, moves = edge_full(table, full, {**even(table, 100), full: Load(950, 1000)})
            assert moves
        while True:
            changed, moves = edge_emptied(table, full, even(table, 10))
            if not moves:
                break
            table = changed
        assert table == before


def test_without_room_nothing_moves_and_one_more_edge_is_wanted() -> None:
    table = grown(10)
    full = edge_of(table, "3")
    loads = {**even(table, 600), full: Load(900, 1000)}
    assert edge_full(table, full, loads) == (table, ())
    assert edges_wanted(table, loads) == 11


def test_a_half_goes_where_most_room_is_not_where_fewest_are() -> None:
    table = grown(10)
    full, large, small = (edge_of(table, digit) for digit in "359")
    loads = {**even(table, 800), full: Load(900, 1000), large: Load(1500, 4000), small: Load(10, 100)}
    _, [move] = edge_full(table, full, loads)
    assert move.to_edge == large


def test_one_edge_fewer_is_wanted_only_where_the_others_stay_roomy() -> None:
    table = grown(10)
    assert edges_wanted(table, even(table, 500)) == 9
    assert edges_wanted(table, even(table, 550)) == 10
    assert edges_wanted(table, even(table, 700)) == 10
    assert edges_wanted(table, even(table, 100)) == 9
    assert edges_wanted(grown(1), even(grown(1), 0)) == 1
    assert edges_wanted(ShardTable(), {}) == 1


def steps() -> st.SearchStrategy[list[Step]]:
    names = st.integers(0, 14).map(lambda n: f"edge-{n:02d}")
    kinds = st.sampled_from(["joined", "joined", "full", "full", "emptied", "draining", "dead"])
    load = st.builds(Load, st.floats(0, 1200), st.integers(100, 2000))
    loads = st.fixed_dictionaries({f"edge-{n:02d}": load for n in range(15)})
    return st.lists(st.tuples(kinds, names, loads), max_size=60)


def step(table: ShardTable, kind: str, edge: str, loads: Loads) -> ShardTable:
    """Take one step, and hold it to the laws of its kind."""
    if kind not in ("full", "emptied"):
        return after(table, (kind, edge))[0]
    change = (edge_full if kind == "full" else edge_emptied)(table, edge, loads)
    changed, moves = change
    assert len(moves) <= 1
    for move in moves:
        assert {move.from_edge, move.to_edge} <= table.serving
        late = loads_after(change, table, loads)
        receiver = late[move.to_edge or ""]
        assert receiver.connected <= (FULL if kind == "full" else ROOMY) * receiver.capacity
        assert widths(changed)[move.from_edge] > 0
        if kind == "full":
            own = [shard.end - shard.start for shard in table.shards if shard.edge == edge]
            assert abs(max(own) / 2 - (move.end - move.start)) <= max(own) / 6 + 100
        else:
            assert len(changed.shards) < len(table.shards)
    return changed


@given(steps())
@settings(max_examples=150)
def test_load_moves_one_part_and_never_breaks_the_table(history: list[Step]) -> None:
    table = ShardTable()
    for kind, edge, loads in history:
        table = step(table, kind, edge, {e: load for e, load in loads.items() if e in table.serving})
        TableAssigned(epoch=1, version=1, shards=table.shards, urls={})
        assert all(left.edge != right.edge for left, right in pairwise(table.shards))
        assert {shard.edge for shard in table.shards} <= (table.holders or {None})
        assert sum(widths(table).values()) == CIRCLE


@given(steps())
@settings(max_examples=50)
def test_after_any_splits_calm_ends(history: list[Step]) -> None:
    """With little load everywhere, joining back ends: each step makes the table smaller."""
    table = ShardTable()
    for kind, edge, loads in history:
        table = step(table, kind, edge, {e: load for e, load in loads.items() if e in table.serving})
    for _ in range(len(table.shards)):
        changes = [edge_emptied(table, edge, even(table, 1)) for edge in sorted(table.serving)]
        table = next((changed for changed, moves in changes if moves), table)
    assert not any(edge_emptied(table, edge, even(table, 1))[1] for edge in table.serving)

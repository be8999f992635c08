"""The laws of coming and going while many are connected."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dispatcher.crowd import Crowd, Load
from dispatcher.load_draft import FULL
from dispatcher.load_shares import CROWDED, CRUMB
from dispatcher.shard_table import ShardTable, edges_changed
from schemas.assignments import TableAssigned
from schemas.up_number import CIRCLE
from tests.unit.dispatcher.crowds import CAPACITY, Size, crowd_of, reported, sizes
from tests.unit.dispatcher.events import Event, after, edge_gone, edge_joined, events, grown, widths


def fullness(table: ShardTable, loads: dict[str, Load]) -> dict[str, float]:
    crowd = Crowd(table.shards, loads).clients
    return {edge: crowd[edge] / loads[edge].capacity for edge in table.serving}


def even_crowd(table: ShardTable, share: float) -> list[int]:
    """Return the points of clients who stand evenly, and are this share of all capacity."""
    count = round(share * CAPACITY * len(table.serving))
    return [(2 * n + 1) * CIRCLE // (2 * count) for n in range(count)]


@given(st.lists(st.tuples(events(edges=12), sizes(8000)), max_size=40))
@settings(max_examples=150)
def test_only_what_must_move_moves(history: list[tuple[Event, Size]]) -> None:
    """What leaves gives away all that it held, what joins or holds nothing takes some, and no more moves."""
    table = ShardTable()
    for event, size in history:
        before, (kind, edge) = table, event
        idle = {edge for edge, width in widths(before).items() if width == 0}
        table, moves = after(before, event, reported(before, crowd_of(*size)))
        TableAssigned(epoch=1, version=1, shards=table.shards, urls={})
        assert {shard.edge for shard in table.shards} <= (table.holders or {None})
        if kind == "joined":
            assert {move.to_edge for move in moves} <= {edge, *idle} or not before.serving
        elif table.serving:
            assert all(move.from_edge == edge or move.to_edge in idle for move in moves)
            left = sum(move.end - move.start for move in moves if move.from_edge == edge)
            assert left == widths(before).get(edge, 0)


@given(st.integers(2, 20), st.floats(CROWDED + 0.05, 0.85), st.data())
@settings(max_examples=30)
def test_what_an_edge_leaves_behind_fills_nobody(edges: int, share: float, data: st.DataObject) -> None:
    table = grown(edges)
    people = even_crowd(table, share)
    for n in data.draw(st.permutations(range(edges)))[: edges // 2]:
        loads = reported(table, people)
        mean = len(people) / CAPACITY / (len(table.serving) - 1)
        assume(mean < FULL)
        before = fullness(table, loads)
        table, moves = edge_gone(table, f"edge-{n:02d}", loads)
        late = fullness(table, loads)
        for move in moves:
            taker = move.to_edge or ""
            assert late[taker] <= max((mean + FULL) / 2, mean + 2 * CRUMB, before[taker]) + CRUMB


def test_clients_who_all_stand_at_one_point_go_together_though_nobody_has_headroom_for_them() -> None:
    table = grown(3)
    crowded = table.shards[0]
    people = [(crowded.start + crowded.end) // 2] * 800
    loads = reported(table, people)
    table, moves = edge_gone(table, crowded.edge or "", loads)
    assert sum(move.end - move.start for move in moves) == crowded.end - crowded.start
    assert sorted(fullness(table, loads).values()) == [0.0, 0.8]


@given(st.integers(1, 30), st.floats(2.1 * CROWDED, 1.0))
def test_who_joins_takes_half_of_what_the_fullest_has(edges: int, share: float) -> None:
    table = grown(edges)
    loads = {**reported(table, even_crowd(table, share)), "new": Load(0, CAPACITY, ())}
    before = fullness(table, loads)
    table, moves = edge_joined(table, "new", loads)
    late = fullness(table, loads)
    assert len(moves) == 1
    assert before[moves[0].from_edge or ""] == max(before.values())
    assert max(before.values()) / 3 - CRUMB <= late["new"] <= max(before.values()) * 2 / 3 + CRUMB


def test_who_joins_takes_from_a_narrow_crowded_part_and_not_from_a_wide_empty_one() -> None:
    table = grown(2)
    narrow = table.shards[0]
    people = [narrow.start + n * 100_000 for n in range(500)]
    loads = {**reported(table, people), "new": Load(0, CAPACITY, ())}
    _, [move] = edge_joined(table, "new", loads)
    assert move.from_edge == narrow.edge
    assert sum(move.start <= point < move.end for point in people) == pytest.approx(250, abs=60)


def test_neighbours_with_headroom_take_what_an_edge_leaves_though_others_have_more_of_it() -> None:
    table = grown(10)
    before, leaving, after_it = (shard.edge or "" for shard in table.shards[2:5])
    far = table.shards[8].edge
    people = [point for point in even_crowd(table, 0.25) if not 8 <= point * 10 // CIRCLE < 9]
    loads = reported(table, people)
    assert [load.connected for edge, load in loads.items() if edge == far] == [0]
    _, moves = edge_gone(table, leaving, loads)
    assert {move.to_edge for move in moves} <= {before, after_it}


def test_a_rack_that_dies_is_shared_out_at_once() -> None:
    table = grown(20)
    people = even_crowd(table, 0.6)
    loads = reported(table, people)
    rack = {f"edge-{n:02d}": "dead" for n in range(5)}
    table, moves = edges_changed(table, rack, loads)
    assert {(move.from_edge in rack, move.reason) for move in moves} == {(True, "dead")}
    assert max(fullness(table, loads).values()) <= (0.8 + FULL) / 2 + CRUMB


def test_one_who_does_not_say_its_load_is_given_its_part_by_width() -> None:
    table = grown(3)
    loads = reported(table, even_crowd(table, 0.6))
    del loads["edge-01"]
    assert edge_gone(table, "edge-02", loads) == edge_gone(table, "edge-02")


def test_where_hardly_anybody_is_connected_parts_are_shared_out_by_width() -> None:
    table = grown(3)
    loads = reported(table, [5] * 100)
    assert edge_gone(table, "edge-02", loads) == edge_gone(table, "edge-02")


def test_those_who_died_without_a_report_count_as_full_as_others() -> None:
    """Their parts would else all go to the one with most headroom, as if nobody were there."""
    table = grown(20)
    people = even_crowd(table, 0.6)
    everybody = reported(table, people)
    rack = {f"edge-{n:02d}": "dead" for n in range(5)}
    heard = {edge: load for edge, load in everybody.items() if edge not in rack}
    table, _ = edges_changed(table, rack, heard)
    assert max(fullness(table, everybody).values()) <= (0.8 + FULL) / 2 + CRUMB

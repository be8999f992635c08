"""The laws of splitting and joining by load."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.crowd import Crowd, Load, Loads
from dispatcher.load_draft import CALM, FULL
from dispatcher.load_rule import balanced
from dispatcher.shard_table import Move, ShardTable, edges_changed, moves_between
from schemas.assignments import Shard, TableAssigned
from schemas.up_number import CIRCLE
from tests.unit.dispatcher.crowds import CAPACITY, Size, crowd_of, reported, sizes
from tests.unit.dispatcher.events import Event, after, events, grown, widths

TINY = 1e-6


def even(table: ShardTable, connected: int, capacity: int = CAPACITY) -> dict[str, Load]:
    return dict.fromkeys(sorted(table.serving), Load(connected, capacity))


def edge_of(table: ShardTable, label: str) -> str:
    return next(shard.edge or "" for shard in table.shards if shard.label == label)


def published(table: ShardTable) -> TableAssigned:
    return TableAssigned(epoch=1, version=1, shards=table.shards, urls={})


def edges_wanted(table: ShardTable, loads: Loads) -> int:
    return balanced(table, loads).edges_wanted


def step(table: ShardTable, loads: Loads) -> tuple[ShardTable, tuple[Move, ...]]:
    """Return what load makes of a table, and hold it to the laws."""
    before = Crowd(table.shards, loads).clients
    result = balanced(table, loads)
    mark = {edge: FULL * load.capacity for edge, load in loads.items()}
    changed = [replace(move, reason="") for move in result.moves]
    assert changed == list(moves_between(table, result.table, ""))
    gave = Counter(move.from_edge for move in result.moves)
    for move in result.moves:
        giver, taker = move.from_edge or "", move.to_edge or ""
        assert {giver, taker} <= table.serving & loads.keys()
        assert widths(result.table)[giver] > 0
        if move.reason == "full":
            assert before[giver] >= mark[giver]
            assert result.clients[giver] >= mark[giver] / 4, "it gave more than its excess and one part"
            assert result.clients[taker] < mark[taker] + TINY
        else:
            assert gave[giver] == 1
            assert result.clients[taker] <= CALM * loads[taker].capacity + TINY
    full = sum(move.reason == "full" for move in result.moves)
    assert len(result.table.shards) <= len(table.shards) + full - (len(result.moves) - full)
    if all(load.spread is not None for load in loads.values()):
        assert result.clients == pytest.approx(Crowd(result.table.shards, loads).clients)
    return result.table, result.moves


def settled(table: ShardTable, loads: Loads) -> ShardTable:
    """Return the table at which the rule rests under constant load."""
    for _ in range(100):
        table, moves = step(table, loads)
        if not moves:
            return table
    raise AssertionError("it never rests")


Loaded = Event | Size
"""What happens to an edge; or how many clients there are from now on."""

LOADED = st.lists(st.one_of(events(edges=15), sizes()), max_size=60)


def walk(history: list[Loaded]) -> list[ShardTable]:
    """Return the tables of a history. Each crowd thins out to a half before the next event."""
    table, tables, people = ShardTable(), [ShardTable()], list[int]()
    for event in history:
        if isinstance(event[0], str):
            table, _ = after(table, event, reported(table, people))
        else:
            people = crowd_of(*event)
            table, _ = step(table, reported(table, people))
            people = people[::2]
            table, _ = step(table, reported(table, people))
        tables.append(table)
    return tables


def test_the_documented_split() -> None:
    """The edge of digit 3 is full: 03, 13, 23, 33, 43 stay, 53, 63, 73, 83, 93 go to one other edge."""
    table = grown(10)
    full, calm = edge_of(table, "3"), edge_of(table, "7")
    result = balanced(table, {**even(table, 700), full: Load(900, 1000), calm: Load(100, 1000)})
    assert [(move.label, move.from_edge, move.to_edge, move.reason) for move in result.moves] == [
        ("3[5-9]", full, calm, "full")
    ]
    holders = published(result.table)
    assert {holders.shard_of(f"up2019012{tens}3").edge for tens in "01234"} == {full}
    assert {holders.shard_of(f"up2019012{tens}3").edge for tens in "56789"} == {calm}
    assert [shard.label for shard in result.table.shards] == [*"012", "3[0-4]", "3[5-9]", *"456789"]
    assert result.clients[full] == pytest.approx(450)
    assert result.clients[calm] == pytest.approx(550)


def test_a_half_is_split_again_by_halves() -> None:
    table = grown(10)
    full = edge_of(table, "3")
    for label in ("3[5-9]", "3[25-49]", "3[125-249]"):
        table, moves = step(table, {**even(table, 100), full: Load(950, 1000)})
        assert [move.label for move in moves if move.reason == "full"] == [label]


def test_the_circle_of_one_edge_is_cut_between_digits() -> None:
    table, _ = after(grown(1), ("joined", "edge-01"))
    _, moves = step(
        ShardTable(grown(1).shards, table.serving), {"edge-00": Load(950, 1000), "edge-01": Load(0, 1000)}
    )
    assert [move.label for move in moves] == ["[5-9]"]


def test_a_skewed_crowd_is_cut_where_its_halves_are() -> None:
    """All of digit 3 end in 93: a cut at 50 would move everybody, or nobody."""
    table = grown(10)
    full = edge_of(table, "3")
    crowd = [390_000_000 + n * 10_000 for n in range(950)]
    result = balanced(table, reported(table, crowd))
    moved = sum(move.start <= point < move.end for point in crowd for move in result.moves)
    assert [move.from_edge for move in result.moves] == [full]
    assert 950 / 3 <= moved <= 950 * 2 / 3


def test_clients_on_their_way_count_for_the_edge_that_will_have_them() -> None:
    table = grown(10)
    crowd = [300_000_000 + n * 100_000 for n in range(950)]
    loads = reported(table, crowd)
    once = balanced(table, loads)
    assert once.moves
    assert balanced(once.table, loads).moves == ()


def test_many_who_stand_at_one_point_are_neither_moved_nor_do_they_ask_for_edges() -> None:
    table = grown(10)
    loads = reported(table, [312_345_678] * 950)
    result = balanced(table, loads)
    assert (result.table, result.moves, result.stuck) == (table, (), ())
    assert edges_wanted(table, loads) <= 10


def test_without_headroom_nothing_moves_and_more_edges_are_wanted() -> None:
    table = grown(10)
    full = edge_of(table, "3")
    loads = {**even(table, 850), full: Load(900, 1000)}
    result = balanced(table, loads)
    assert (result.table, result.moves, result.stuck) == (table, (), (full,))
    assert edges_wanted(table, loads) == 12
    assert edges_wanted(table, {**even(table, 899), full: Load(99_000, 1000)}) == 20


def test_a_smaller_part_goes_where_nobody_has_headroom_for_a_half() -> None:
    table = grown(10)
    full = edge_of(table, "3")
    _, [move] = step(table, {**even(table, 600), full: Load(900, 1000)})
    assert (move.label, move.from_edge) == ("3[75-99]", full)


def test_a_part_goes_where_most_headroom_is_not_where_fewest_are() -> None:
    table = grown(10)
    full, large, small = (edge_of(table, digit) for digit in "359")
    loads = {**even(table, 800), full: Load(900, 1000), large: Load(1500, 4000), small: Load(10, 100)}
    _, [move] = step(table, loads)
    assert move.to_edge == large


def test_what_was_split_three_times_comes_together_again() -> None:
    before = grown(10)
    full, calm, table = edge_of(before, "3"), edge_of(before, "7"), before
    for _ in range(20):
        for _ in range(3):
            table, moves = step(table, {**even(table, 700), full: Load(950, 1000), calm: Load(0, 3000)})
            assert moves
        table = settled(table, even(table, 10))
        assert table == before


def test_an_edge_that_rests_or_is_unknown_takes_nothing_back() -> None:
    table = grown(10)
    full = edge_of(table, "3")
    table, _ = step(table, {**even(table, 100), full: Load(950, 1000)})
    calm = even(table, 10)
    assert step(table, calm)[1]
    assert balanced(table, calm, resting=frozenset({full})).moves == ()
    assert balanced(table, {edge: load for edge, load in calm.items() if edge != full}).moves == ()


def test_nobody_gives_the_only_shard_that_it_has() -> None:
    half = CIRCLE // 20
    borders = [0, half, *range(2 * half, 19 * half, 2 * half), 19 * half, CIRCLE]
    shards = (
        Shard(start=start, end=end, edge=edge)
        for (start, end), edge in zip(pairwise(borders), "abcdefghijcd", strict=True)
    )
    table = ShardTable(tuple(shards), frozenset("abcdefghij"))
    assert step(table, even(table, 10)) == (table, ())


def test_between_the_marks_nothing_moves() -> None:
    """What was given because an edge was full comes back at 0.6 of its capacity, and not before."""
    table = grown(10)
    full = edge_of(table, "3")
    split, _ = step(table, {**even(table, 100), full: Load(900, 1000)})
    crowd = [300_000_000 + n * 100_000 for n in range(1000)]
    assert step(split, reported(split, crowd[::1][:899]))[1] == ()
    thinned = [point for n, point in enumerate(crowd) if n % 5 < 3]
    assert step(split, reported(split, [*thinned, 399_000_001]))[1] == ()
    assert step(split, reported(split, thinned))[0] == table


def test_one_edge_fewer_is_wanted_only_where_the_others_stay_calm() -> None:
    table = grown(10)
    assert edges_wanted(table, even(table, 540)) == 9
    assert edges_wanted(table, even(table, 541)) == 10
    assert edges_wanted(table, even(table, 899)) == 10
    two = grown(2)
    assert edges_wanted(two, even(two, 0)) == 1
    emptiest_is_large = {"edge-00": Load(100, 10_000), "edge-01": Load(500, 1000)}
    assert edges_wanted(two, emptiest_is_large) == 1
    assert edges_wanted(two, {**emptiest_is_large, "edge-01": Load(501, 1000)}) == 2
    assert edges_wanted(grown(1), even(grown(1), 0)) == 1
    assert edges_wanted(ShardTable(), {}) == 1
    assert edges_wanted(table, {}) == 10


@given(LOADED)
@settings(max_examples=150)
def test_every_number_has_one_living_edge_whatever_load_and_edges_do(history: list[Loaded]) -> None:
    for table in walk(history):
        published(table)
        assert all(left.edge != right.edge for left, right in pairwise(table.shards))
        assert {shard.edge for shard in table.shards} <= (table.holders or {None})


@given(LOADED)
def test_the_table_stays_within_two_shards_an_edge(history: list[Loaded]) -> None:
    for table in walk(history):
        assert len(table.shards) <= 2 * len(table.holders) + 10


@given(LOADED, sizes())
@settings(max_examples=150)
def test_under_constant_load_the_table_soon_rests(history: list[Loaded], size: Size) -> None:
    """Nobody is full after one step but those without headroom; joining takes more, then all is still."""
    table = walk(history)[-1]
    people = crowd_of(*size)
    steps = 0
    while (result := balanced(table, reported(table, people))).moves:
        repeated = balanced(result.table, reported(table, people))
        assert {move.from_edge for move in repeated.moves if move.reason == "full"} <= {*result.stuck}
        table, steps = result.table, steps + 1
        assert steps <= 2 * len(table.holders) + 10


def test_an_edge_that_is_far_too_full_gives_parts_that_fit_others() -> None:
    """An eighth of what it has is more than anybody has headroom for, and yet it is relieved."""
    table = grown(10)
    full = edge_of(table, "3")
    loads = reported(table, [300_000_000 + n * 10_000 for n in range(6_000)])
    result = balanced(table, loads)
    assert result.stuck == ()
    assert result.clients[full] < 900
    assert max(result.clients.values()) < 900


def test_a_whole_shard_is_given_before_another_is_cut() -> None:
    """One edge has the digits 0 and 4, and about as many clients in each."""
    holders = "abccabbbcc"
    shards = (
        Shard(start=n * CIRCLE // 10, end=(n + 1) * CIRCLE // 10, edge=edge) for n, edge in enumerate(holders)
    )
    table = ShardTable(tuple(shards), frozenset(holders))
    table, _ = edges_changed(table, {"a": "serving"})
    crowd = [*range(0, 100_000_000, 250_000), *range(400_000_000, 500_000_000, 180_000)]
    _, moves = step(table, reported(table, crowd))
    assert [(move.label, move.from_edge) for move in moves] == [("4", "a")]

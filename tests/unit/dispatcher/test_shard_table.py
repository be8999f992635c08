"""The laws of the table, over long random sequences of events."""

import os
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from deploy.repository import REPOSITORY
from dispatcher.shard_table import Change, Move, ShardTable, edges_changed
from schemas.assignments import TableAssigned
from schemas.up_number import CIRCLE, up_at
from tests.unit.dispatcher.events import Event, after, edge_joined, grown, histories, widths

LONG = histories(edges=30, length=120)
NAMES = [f"edge-{n:02d}" for n in range(40)]
SHRINKING = st.permutations(NAMES).map(
    lambda order: [*(("joined", edge) for edge in NAMES), *(("dead", edge) for edge in order)]
)
DIGIT = CIRCLE // 10


def bounds(edges: int) -> tuple[Fraction, Fraction]:
    """Return the least and the most that each of so many edges may hold, in points."""
    units = next(10 * 2**k for k in range(30) if 10 * 2**k >= edges)
    return Fraction(units // edges * CIRCLE, units), Fraction(-(-units // edges) * CIRCLE, units)


def walk(history: list[Event]) -> list[tuple[ShardTable, Event, Change]]:
    table, steps = ShardTable(), []
    for event in history:
        change = after(table, event)
        steps.append((table, event, change))
        table = change[0]
    return steps


def moved(moves: tuple[Move, ...]) -> int:
    return sum(move.end - move.start for move in moves)


@given(LONG)
@settings(max_examples=150)
def test_the_circle_is_always_tiled_and_neighbours_of_one_edge_are_one_shard(history: list[Event]) -> None:
    for _, _, (table, _) in walk(history):
        TableAssigned(epoch=1, version=1, shards=table.shards, urls={})
        assert all(left.edge != right.edge for left, right in pairwise(table.shards))


@given(LONG, st.integers(0, CIRCLE - 1))
def test_every_number_has_one_edge_and_it_lives_while_any_lives(history: list[Event], point: int) -> None:
    serving: set[str] = set()
    draining: set[str] = set()
    for _, (kind, edge), (table, _) in walk(history):
        serving.discard(edge)
        draining.discard(edge)
        if kind in ("joined", "draining"):
            (serving if kind == "joined" else draining).add(edge)
        published = TableAssigned(epoch=1, version=1, shards=table.shards, urls={})
        holder = published.shard_of(up_at(point)).edge
        assert holder in (serving or draining) or (holder is None and not serving | draining)


@given(LONG)
def test_no_shard_stays_on_a_draining_or_dead_edge_while_another_serves(history: list[Event]) -> None:
    for _, _, (table, _) in walk(history):
        if table.serving:
            assert {shard.edge for shard in table.shards} <= table.serving


@given(histories(edges=50, length=150) | SHRINKING)
@settings(max_examples=150)
def test_every_edge_holds_between_its_least_and_its_most(history: list[Event]) -> None:
    for _, _, (table, _) in walk(history):
        if table.serving:
            least, most = bounds(len(table.serving))
            held = widths(table)
            assert least <= min(held.values())
            assert max(held.values()) <= most


@given(LONG)
def test_an_edge_that_leaves_moves_what_it_held_and_nothing_else(history: list[Event]) -> None:
    for before, (kind, edge), (table, moves) in walk(history):
        if kind != "joined" and table.serving:
            assert {move.from_edge for move in moves} <= {edge}
            assert moved(moves) == widths(before).get(edge, 0)


@given(LONG)
def test_an_edge_that_joins_moves_no_more_than_the_bounds_ask_for(history: list[Event]) -> None:
    for before, (kind, edge), (table, moves) in walk(history):
        if kind != "joined" or not before.serving:
            continue
        assert {move.to_edge for move in moves} <= {edge}
        if edge in before.serving:
            assert moves == ()
            continue
        least, most = bounds(len(table.serving))
        above = sum(max(Fraction(0), width - most) for width in widths(before).values())
        assert moved(moves) == max(least, above)


@given(LONG)
def test_moves_are_exactly_the_difference_of_the_tables(history: list[Event]) -> None:
    for before, _, (table, moves) in walk(history):
        changed = {(start, end): (old, new) for start, end, old, new in overlaps(before, table) if old != new}
        for move in moves:
            inside = [span for span in changed if move.start <= span[0] and span[1] <= move.end]
            assert all(changed.pop(span) == (move.from_edge, move.to_edge) for span in inside)
            assert sum(end - start for start, end in inside) == move.end - move.start
        assert not changed


def overlaps(before: ShardTable, table: ShardTable) -> list[tuple[int, int, str | None, str | None]]:
    found = []
    for old in before.shards:
        for new in table.shards:
            start, end = max(old.start, new.start), min(old.end, new.end)
            if start < end:
                found.append((start, end, old.edge, new.edge))
    return found


def test_every_leader_computes_the_same_tables_of_the_same_events() -> None:
    """A set's order is another one in each process."""
    code = "from tests.unit.dispatcher.test_shard_table import tables; print(tables())"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed in ("0", "1", "2", "3")
    ]
    assert {process.communicate()[0] for process in processes} == {f"{tables()}\n"}


def tables() -> str:
    """Return who holds what when many edges at once join, die, come back and drain."""
    table, found = ShardTable(), []
    for state, edges in (
        ("serving", NAMES[:12]), ("dead", NAMES[:5]), ("serving", NAMES[:5]), ("draining", NAMES[3:7])
    ):  # fmt: skip
        table, _ = edges_changed(table, dict.fromkeys(edges, state))
        found.append(table.shards)
    return repr(found)


@given(LONG)
def test_an_event_that_is_repeated_moves_nothing(history: list[Event]) -> None:
    for _, event, (table, _) in walk(history):
        assert after(table, event) == (table, ())


@given(st.permutations(NAMES), st.integers(1, 40))
@example(NAMES, 40)
@settings(max_examples=30)
def test_a_table_that_only_grew_has_no_more_shards_than_it_needs(order: list[str], count: int) -> None:
    table = ShardTable()
    for edge in order[:count]:
        table, _ = edge_joined(table, edge)
    assert len(table.shards) <= count + (4 < count < 10)


def test_one_edge_has_all_digits_and_ten_have_one_each() -> None:
    assert [shard.label for shard in grown(1).shards] == ["[0-9]"]
    assert [shard.label for shard in grown(10).shards] == list("0123456789")
    assert len({shard.edge for shard in grown(10).shards}) == 10


def test_two_to_nine_edges_have_whole_digits_as_evenly_as_can_be() -> None:
    for edges in range(2, 10):
        assert {width // DIGIT for width in widths(grown(edges)).values()} == {10 // edges, -(-10 // edges)}
        assert all(shard.start % DIGIT == 0 for shard in grown(edges).shards)


def test_the_eleventh_edge_gets_half_a_digit() -> None:
    _, moves = edge_joined(grown(10), "edge-10")
    assert [move.label for move in moves] == ["0[5-9]"]


def test_halves_come_together_again() -> None:
    table = grown(23)
    for n in range(22, 9, -1):
        table, _ = edges_changed(table, {f"edge-{n:02d}": "stopped"})
    assert [shard.label for shard in table.shards] == list("0123456789")


def test_what_an_edge_leaves_goes_to_who_makes_a_whole_digit_of_it() -> None:
    halves = grown(20)
    for shard in halves.shards:
        table, _ = edges_changed(halves, {shard.edge or "": "dead"})
        assert shard.label[0] in {one.label for one in table.shards}


def test_the_last_edge_keeps_its_shards_while_it_drains() -> None:
    table, moves = edges_changed(grown(1), {"edge-00": "draining"})
    assert moves == ()
    table, moves = edge_joined(table, "edge-01")
    assert [(move.label, move.from_edge, move.to_edge) for move in moves] == [("[0-9]", "edge-00", "edge-01")]


def test_nobody_holds_anything_when_no_edge_lives() -> None:
    table, moves = edges_changed(grown(1), {"edge-00": "dead"})
    assert [(shard.label, shard.edge) for shard in table.shards] == [("[0-9]", None)]
    assert [move.reason for move in moves] == ["dead"]


@given(histories(edges=12, length=40), st.sets(st.integers(1, CIRCLE - 1), max_size=20), st.data())
def test_a_table_that_another_rule_made_is_taken_over_without_harm(
    history: list[Event], borders: set[int], data: st.DataObject
) -> None:
    """A later version, or an operator, may publish shards with borders that this rule would not choose."""
    ends = [*sorted(borders), CIRCLE]
    edges = data.draw(st.lists(st.sampled_from(["a", "b", None]), min_size=len(ends), max_size=len(ends)))
    foreign = TableAssigned.model_validate(
        {
            "epoch": 1,
            "version": 1,
            "urls": {},
            "shards": [
                {"start": start, "end": end, "edge": edge}
                for start, end, edge in zip([0, *ends], ends, edges, strict=False)
            ],
        }
    )
    table = ShardTable(foreign.shards, frozenset({"a", "b"}))
    for event in history:
        table, _ = after(table, event)
        TableAssigned(epoch=1, version=2, shards=table.shards, urls={})
        assert {shard.edge for shard in table.shards} <= (table.holders or {None})

"""The laws of edges that were taken for dead and come back with their clients."""

from bisect import bisect_right
from itertools import groupby
from math import inf

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dispatcher.crowd import Load
from dispatcher.given_back import FEWEST_CLIENTS, SHORTEST_RUN, given_back
from dispatcher.shard_table import Move, ShardTable
from dispatcher.term import Pace, Term
from schemas.assignments import Shard
from schemas.log_records import EdgeReported
from schemas.up_number import CIRCLE
from tests.unit.dispatcher.crowds import CAPACITY, Size, crowd_of, reported, sizes
from tests.unit.dispatcher.events import edge_gone, grown
from tests.unit.dispatcher.reports import report

DEAD_AFTER_S = 3.0
PACE = Pace(dead_after_s=DEAD_AFTER_S, balance_every_s=inf)
"""Load alone moves nobody here: a move is the fault of who fell silent."""


def homes(table: ShardTable, crowd: list[int]) -> list[str | None]:
    starts = [shard.start for shard in table.shards]
    return [table.shards[bisect_right(starts, point) - 1].edge for point in crowd]


def at_home(table: ShardTable, crowd: list[int]) -> list[EdgeReported]:
    """Return what the edges say when everybody is connected by the table."""
    points: dict[str | None, list[int]] = {edge: [] for edge in sorted(table.serving)}
    for point, edge in zip(crowd, homes(table, crowd), strict=True):
        points.setdefault(edge, []).append(point)
    return [report(edge, points=own, capacity=CAPACITY) for edge, own in points.items() if edge is not None]


def even_crowd(count: int) -> list[int]:
    return [(2 * n + 1) * CIRCLE // (2 * count) for n in range(count)]


def settled(term: Term, now: float, reports: list[EdgeReported]) -> tuple[Move, ...]:
    for one in reports:
        term.add_report(one, now)
    return term.settle(now)


def led(edges: int, crowd: list[int]) -> Term:
    """Return the term of a leader under which so many edges joined one by one, among these clients."""
    term = Term(None, PACE)
    for n in range(edges):
        new = report(f"edge-{n:02d}", points=(), capacity=CAPACITY)
        settled(term, 0.0, [*at_home(term.table, crowd), new])
    return term


silences = st.dictionaries(st.integers(0, 11), st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1)


@given(st.integers(1, 12), sizes(1500), silences)
@example(3, (185, 2821652545), {2: (11, 11), 1: (5, 8)})  # By their samples, two have as many in one piece.
@settings(max_examples=150)
def test_an_edge_that_is_silent_for_a_while_and_comes_back_costs_nobody_a_move(
    edges: int, size: Size, silent: dict[int, tuple[int, int]]
) -> None:
    """Each of ``silent`` says nothing from one second on, for so many; its clients stay with it."""
    crowd = crowd_of(*size)
    term = led(edges, crowd)
    before = homes(term.table, crowd)
    said = {report.edge: report for report in at_home(term.table, crowd)}
    assume({shard.edge for shard in term.table.shards} == set(said))
    spans = {f"edge-{n:02d}": span for n, span in silent.items()}
    assume(all(said[edge].connected for edge in spans.keys() & said.keys()))
    for second in range(1, 30):
        quiet = {edge for edge, (since, length) in spans.items() if since <= second < since + length}
        settled(term, float(second), [report for edge, report in said.items() if edge not in quiet])
        now = zip(before, homes(term.table, crowd), strict=True)
        assert all(was == is_now for was, is_now in now if was not in spans)
    assert homes(term.table, crowd) == before


@given(st.integers(2, 10), st.data())
def test_a_new_leader_gives_back_where_clients_stand_once_it_has_heard_everybody(
    edges: int, data: st.DataObject
) -> None:
    crowd = even_crowd(600)
    term = led(edges, crowd)
    assume({shard.edge for shard in term.table.shards} == term.table.serving)
    reports = data.draw(st.permutations(at_home(term.table, crowd)))
    back, before = reports[0], homes(term.table, crowd)
    settled(term, DEAD_AFTER_S + 1, reports[1:])
    assert back.edge not in term.table.serving
    term = Term(term.next_table(), PACE)
    for n, one in enumerate(reports):
        settled(term, n / edges, [one])
    assert homes(term.table, crowd) == before


def test_who_comes_back_under_a_new_leader_waits_no_longer_than_until_silent_edges_are_dead() -> None:
    term = Term(led(2, []).next_table(), PACE)
    back = report("new", connected=5)
    assert [settled(term, now, [back]) for now in (0.0, 1.0, 3.0)] == [()] * 3
    settled(term, DEAD_AFTER_S + 0.1, [back])
    assert {shard.edge for shard in term.table.shards} == {"new"}


@given(st.integers(2, 10), st.integers(200, 1500), st.integers(0, 3))
def test_an_edge_whose_clients_have_gone_elsewhere_is_a_newcomer(edges: int, size: int, left: int) -> None:
    crowd = even_crowd(size)
    whole = grown(edges)
    held = {"edge-00": tuple(shard for shard in whole.shards if shard.edge == "edge-00")}
    table, _ = edge_gone(whole, "edge-00", reported(whole, crowd))
    loads = reported(table, crowd)
    loads["edge-00"] = reported(whole, crowd[:left])["edge-00"]
    for known in (held, {}):
        assert given_back(table.shards, ["edge-00"], loads, known) == table.shards


WHOLE = (Shard(start=0, end=CIRCLE, edge="a"),)


def standing(**points: list[int]) -> dict[str, Load]:
    """Return what edges say whose clients stand at these points."""
    return {edge: Load(len(own), CAPACITY, own) for edge, own in points.items()}


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 4)), min_size=1, max_size=16), st.integers(200, 10**8)
)
@example([(True, 15), (False, 5), (True, 1)], 10**8)
def test_who_comes_back_to_a_new_leader_gets_the_stretches_that_only_its_clients_stand_in(
    runs: list[tuple[bool, int]], apart: int
) -> None:
    """Where only a few of them stand it gets nothing: they may have been on their way to another edge."""
    whose = [is_back for is_back, count in runs for _ in range(count)]
    points = [(n + 1) * min(apart, CIRCLE // 100) for n in range(len(whose))]
    back = [point for point, is_back in zip(points, whose, strict=True) if is_back]
    others = [point for point, is_back in zip(points, whose, strict=True) if not is_back]
    assume(len(back) >= FEWEST_CLIENTS * len(others) and back)
    shards = given_back(WHOLE, ["back"], standing(a=others, back=back), {})
    expected: list[str] = []
    for is_back, run in groupby(whose):
        length = len(list(run))
        expected += ["back" if is_back and length >= SHORTEST_RUN * len(back) else "a"] * length
    assert homes(ShardTable(shards), points) == expected


def test_a_stretch_that_is_given_back_ends_at_the_roundest_border_there_is() -> None:
    digit = CIRCLE // 10
    loads = standing(back=[n * digit // 10 for n in range(25)], a=[n * digit // 10 for n in range(77, 100)])
    assert [shard.label for shard in given_back(WHOLE, ["back"], loads, {})] == ["[0-4]", "[5-9]"]


def test_nothing_is_given_back_of_what_an_edge_holds_that_has_not_said_where_its_clients_stand() -> None:
    silent, heard = (Shard(start=n * CIRCLE // 2, end=(n + 1) * CIRCLE // 2, edge="ba"[n]) for n in (0, 1))
    loads = standing(back=[n * CIRCLE // 100 for n in range(100)], a=[])
    shards = given_back((silent, heard), ["back"], loads, {})
    assert [shard.edge for shard in shards] == ["b", "back"]


def test_those_who_come_back_when_nobody_is_left_get_the_stretches_of_their_clients() -> None:
    digit = CIRCLE // 10
    loads = standing(a=[n * digit // 10 for n in range(50)], b=[n * digit // 10 for n in range(50, 100)])
    shards = given_back((Shard(start=0, end=CIRCLE, edge=None),), "ab", loads, {})
    assert [(shard.label, shard.edge) for shard in shards] == [("[0-4]", "a"), ("[5-9]", "b")]


LOWER, UPPER = (Shard(start=n * CIRCLE // 2, end=(n + 1) * CIRCLE // 2, edge=None) for n in (0, 1))


@pytest.mark.parametrize(
    ("held", "lower", "upper"),
    [
        ({"back": (LOWER, UPPER)}, "back", "back"),
        ({"back": (LOWER, UPPER), "a": (LOWER, UPPER)}, "back", "back"),
        ({"a": (LOWER, UPPER), "back": (LOWER, UPPER)}, "a", "a"),
        ({"c": (LOWER, UPPER), "a": (LOWER,), "back": (LOWER, UPPER)}, "a", "back"),
        ({"a": (UPPER,), "back": (LOWER, UPPER)}, "a", "a"),
    ],
)
def test_of_two_with_as_many_clients_in_a_piece_the_one_that_lost_it_first_has_got_it_back(
    held: dict[str, tuple[Shard, ...]], lower: str, upper: str
) -> None:
    """Who comes back gets nothing where no more than half of its clients are in what it would get."""
    step = CIRCLE // 20
    own = [n * step for n in (1, 3, 5, 7, 11, 13, 15, 16, 17, 19)]
    loads = standing(back=own, a=[point + step // 2 for point in own])
    shards = given_back(WHOLE, ["back"], loads, held)
    assert homes(ShardTable(shards), [LOWER.start, LOWER.end - 1]) == [lower] * 2
    assert homes(ShardTable(shards), [UPPER.start, UPPER.end - 1]) == [upper] * 2

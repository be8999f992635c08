"""What a leader decides, from the published table on."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.edge_reports import MAX_GONE, MAX_REPLACED
from dispatcher.shard_table import Move
from dispatcher.term import MAX_MOVES, MAX_WISHES, Pace, Term
from schemas.assignments import TableAssigned
from schemas.log_records import DrainAsked, EdgeReported, EdgesAsked
from schemas.up_number import CIRCLE
from tests.unit.dispatcher.reports import report

PACE = Pace(dead_after_s=3.0, balance_every_s=1.0, rest_s=10.0)
LONG_AFTER = 100.0
STATES: list[Literal["serving", "draining", "stopped"]] = ["serving", "draining", "stopped"]

LOWER, UPPER = range(0, CIRCLE // 2, CIRCLE // 190), range(CIRCLE // 2, CIRCLE, CIRCLE // 10)
"""Where clients stand: 95 in the lower half of the circle, 5 in the upper."""


def settled(term: Term, now: float, *reports: EdgeReported) -> tuple[Move, ...]:
    for one in reports:
        term.add_report(one, now)
    return term.settle(now)


def first_term(*edges: str) -> Term:
    term = Term(None, PACE)
    settled(term, 0.0, *(report(edge) for edge in edges))
    return term


def successor(published: TableAssigned) -> Term:
    return Term(published, PACE)


def holders(term: Term) -> set[str | None]:
    return {shard.edge for shard in term.table.shards}


def test_a_new_leader_starts_from_the_published_table_with_a_higher_epoch() -> None:
    published = first_term("a", "b", "c").next_table()
    table = successor(published).next_table()
    assert (table.shards, table.urls) == (published.shards, published.urls)
    assert table.epoch == published.epoch + 1
    assert table.age_key > published.age_key


def test_nobody_moves_because_a_leader_died() -> None:
    term = successor(first_term("a", "b").next_table())
    assert [settled(term, now, report(edge)) for edge, now in (("a", 0.4), ("b", 2.9), ("a", 3.0))] == [
        ()
    ] * 3
    assert term.settle(3.1) == ()


def test_an_edge_that_died_with_the_leader_is_found_dead() -> None:
    term = successor(first_term("a", "b").next_table())
    settled(term, 1.0, report("a"))
    moves = term.settle(3.1)
    assert {(move.from_edge, move.to_edge, move.reason) for move in moves} == {("b", "a", "dead")}
    assert list(term.next_table().urls) == ["a"]


def test_a_report_that_changes_nothing_gives_no_new_table() -> None:
    term = first_term("a", "b")
    before = term.content()
    settled(term, 1.0, report("a", connected=7))
    assert term.content() == before


def test_a_second_edge_of_a_living_ones_name_is_not_heard_and_does_not_take_its_wishes_back() -> None:
    term = first_term("a", "b")
    term.add_wish(DrainAsked(edge="a", drain=True))
    term.settle(0.5)
    before = term.content()
    assert settled(term, 1.0, report("a", url="http://elsewhere")) == ()
    assert settled(term, 1.5, report("a", "stopped", url="http://elsewhere")) == ()
    assert term.content() == before


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 2)), min_size=1, max_size=40))
def test_of_two_edges_with_one_name_the_table_has_one_until_that_one_is_silent_or_stops(
    said: list[tuple[bool, float]],
) -> None:
    term, now = first_term("b"), 0.0
    held: str | None = None
    heard_at = 0.0
    for is_first, pause in said:
        now += pause
        url = "http://first" if is_first else "http://second"
        settled(term, now, report("b"))
        settled(term, now, report("a", url=url))
        if held is None or now - heard_at > PACE.dead_after_s or held == url:
            held, heard_at = url, now
        assert term.next_table().urls["a"] == held


@given(st.sampled_from(STATES[:2]), st.lists(st.tuples(st.booleans(), st.floats(0, 1)), max_size=20))
def test_of_two_processes_of_one_edge_the_one_that_came_last_is_heard(
    state: Literal["serving", "draining"], said: list[tuple[bool, float]]
) -> None:
    """A pod deleted with force still drains, while the new one of its name and URL serves."""
    term, now = first_term("b"), 0.0
    old, new = report("a", state, process="old"), report("a", process="new")
    settled(term, now, report("a", process="old"))
    settled(term, now, new)
    before = term.content()
    for old_first, pause in said:
        now += pause
        for one in (old, new) if old_first else (new, old):
            settled(term, now, report("b"), one)
            assert term.content() == before
        assert term.reports.namesakes(now) == {"a": "http://a"}
    settled(term, now, report("a", "stopped", process="old"))
    assert term.content() == before


@pytest.mark.parametrize("last", ["serving", "draining", "stopped", None])
def test_an_edge_that_was_restarted_is_no_namesake(
    last: Literal["serving", "draining", "stopped"] | None,
) -> None:
    term = first_term("b")
    settled(term, 0.0, report("a", process="old"))
    if last is not None:
        settled(term, 1.0, report("a", last, process="old"))
    now = 2.0 if last else 5.0
    settled(term, now, report("b"), report("a", process="new"))
    assert term.reports.namesakes(now) == {}
    assert term.table.serving == {"a", "b"}
    for process in ("new", "newer"):
        settled(term, now, report("a", "draining", process=process))
        assert term.reports.edges["a"].process == process


@pytest.mark.parametrize("first", ["old", "new"])
def test_after_a_new_leader_who_drains_takes_no_place_of_one_that_serves(first: str) -> None:
    """The published table says which of both processes serves, whichever of them is heard first."""
    term = first_term("b")
    settled(term, 0.0, report("a", process="old"))
    settled(term, 0.5, report("a", process="new"))
    term = successor(term.next_table())
    said = report("a", "draining", process="old"), report("a", process="new")
    for one in said if first == "old" else said[::-1]:
        assert settled(term, 0.5, report("b"), one) == ()
    assert term.table.serving == {"a", "b"}


@given(
    st.lists(
        st.tuples(st.sets(st.sampled_from("ab")), st.booleans(), st.floats(0, PACE.dead_after_s)), max_size=20
    )
)
def test_the_table_says_which_process_of_each_edge_is_heard_and_nobody_moves_for_that(
    steps: list[tuple[set[str], bool, float]],
) -> None:
    """Edges are killed and run again before anybody misses them, and leaders change in between."""
    processes, now = {"a": "0", "b": "0"}, 0.0
    term = first_term("c", "b", "a")
    settled(term, now, *(report(edge, process=one) for edge, one in processes.items()))
    for restarted, takeover, pause in steps:
        now += pause
        before, table = term.content(), term.next_table()
        assert table.processes == processes
        if takeover:
            term, now = successor(table), 0.0
            assert term.content() == before, "the next leader knows them before it hears anybody"
        processes |= {edge: str(int(processes[edge]) + 1) for edge in restarted}
        said = [report("c"), *(report(edge, process=one) for edge, one in processes.items())]
        assert (settled(term, now, *said), term.table.shards) == ((), table.shards)
        assert (term.content() == before) == (not restarted), "a table is published only where one is new"


def test_only_edges_that_have_a_url_have_a_process_in_the_table() -> None:
    term = first_term("b")
    settled(term, 0.0, report("a", process="p"))
    settled(term, 1.0, report("b"), report("a", "draining", process="p"))
    assert term.next_table().processes == {}
    settled(term, 2.0, report("b"), report("a", process="q"))
    assert term.next_table().processes == {"a": "q"}
    settled(term, 2.5, report("a", "stopped", process="q"))
    assert term.next_table().processes == {}


def test_an_edge_that_comes_back_at_another_url_is_heard_once_the_old_one_is_silent_or_has_stopped() -> None:
    for last in (report("a", "stopped"), None):
        term = first_term("a", "b")
        if last is not None:
            settled(term, 1.0, last)
        settled(term, 1.5 if last else 3.5, report("b"), report("a", url="http://elsewhere"))
        assert term.next_table().urls["a"] == "http://elsewhere"


def test_a_draining_edge_has_no_url_in_the_table_unless_it_still_holds_something() -> None:
    term = first_term("a", "b")
    settled(term, 1.0, report("a", "draining"))
    assert list(term.next_table().urls) == ["b"]
    settled(term, 1.0, report("b", "draining"))
    table = term.next_table()
    assert {shard.edge for shard in table.shards} == set(table.urls)


def test_versions_grow_with_each_table() -> None:
    term = first_term("a")
    keys = [term.next_table().age_key for _ in range(5)]
    assert keys == sorted(set(keys))


def test_the_last_moves_are_kept_and_no_more() -> None:
    term = first_term("a", "b")
    for n in range(MAX_MOVES):
        settled(term, float(n), report("b", "stopped"))
        settled(term, float(n), report("a"), report("b"))
    assert len(term.last_moves) == MAX_MOVES
    assert term.last_moves[-1][1].to_edge == "b"


def test_a_full_edge_gives_clients_away_at_the_next_look_at_load() -> None:
    term = first_term("a", "b")
    term.settle(1.0)
    settled(term, 1.5, report("a", points=LOWER), report("b", points=UPPER))
    assert "full" not in {move.reason for _, move in term.last_moves}, "it is not yet time to look"
    moves = term.settle(2.0)
    assert {(move.from_edge, move.to_edge, move.reason) for move in moves} == {("a", "b", "full")}
    assert term.settle(3.0) == (), "who was given away counts for the other edge at once"


def points_of(term: Term, edge: str, count: int) -> list[int]:
    """Return as many points, all in the first shard of an edge."""
    shard = next(shard for shard in term.table.shards if shard.edge == edge)
    return [shard.start + n * (shard.end - shard.start) // count for n in range(count)]


def test_shards_come_together_again_only_after_a_rest() -> None:
    term = first_term("a", "b", "c")
    crowd, others, whole = points_of(term, "a", 95), points_of(term, "c", 40), len(term.table.shards)
    settled(term, 1.0, report("a", points=crowd), report("b", points=()), report("c", points=others))
    assert len(term.table.shards) == whole + 1, "a half has gone to an edge that is no neighbour"
    few = report("a", points=crowd[:9]), report("b", points=()), report("c", points=others[:9])
    assert [settled(term, float(second), *few) for second in range(2, 11)] == [()] * 9
    assert {move.reason for move in settled(term, 11.0, *few)} == {"emptied"}
    assert len(term.table.shards) == whole


def test_without_headroom_one_more_edge_is_wanted_and_with_much_one_fewer() -> None:
    term = first_term("a", "b")
    settled(term, 1.0, report("a", connected=95), report("b", connected=95))
    assert term.edges_wanted > 2
    assert term.stuck
    settled(term, 2.0, report("a", connected=10), report("b", connected=10))
    assert (term.edges_wanted, term.stuck) == (1, ())


def test_while_nobody_serves_one_edge_is_wanted_and_nothing_moves() -> None:
    term = first_term("a", "b", "c")
    settled(term, 1.0, *(report(edge, "draining") for edge in "abc"))
    assert settled(term, 2.0, *(report(edge, "stopped") for edge in "abc"))
    assert (term.settle(3.0), term.edges_wanted) == ((), 1)


def test_no_fewer_edges_are_wanted_than_an_operator_asked_for() -> None:
    term = first_term("a", "b")
    term.add_wish(EdgesAsked(edges=5))
    settled(term, 1.0, report("a"), report("b"))
    assert term.edges_wanted == term.next_table().edges_asked == 5
    assert successor(term.next_table()).edges_asked == 5, "the wish outlives its leader"


def test_an_edge_that_was_asked_to_drain_holds_nothing_although_it_says_that_it_serves() -> None:
    term = first_term("a", "b")
    term.add_wish(DrainAsked(edge="a", drain=True))
    assert {move.reason for move in term.settle(0.1)} == {"draining"}
    settled(term, 0.5, report("a"))
    assert holders(term) == {"b"}
    assert term.next_table().draining == ("a",)


def test_a_wish_to_drain_outlives_the_leader_and_the_death_of_the_edge_until_it_stops() -> None:
    term = first_term("a", "b")
    term.add_wish(DrainAsked(edge="a", drain=True))
    term.settle(0.1)
    term = successor(term.next_table())
    settled(term, 0.5, report("a"), report("b"))
    assert holders(term) == {"b"}
    settled(term, LONG_AFTER, report("b"))
    assert term.reports.edges["a"].state == "dead"
    settled(term, LONG_AFTER, report("a"))
    assert holders(term) == {"b"}
    settled(term, LONG_AFTER, report("a", "stopped"))
    assert term.next_table().draining == ()


def test_the_last_edge_keeps_everything_when_it_is_asked_to_drain_under_the_next_leader_too() -> None:
    term = first_term("a")
    term.add_wish(DrainAsked(edge="a", drain=True))
    term.settle(0.1)
    term = successor(term.next_table())
    assert settled(term, 0.5, report("a")) == ()
    assert (holders(term), list(term.next_table().urls)) == ({"a"}, ["a"])


def test_an_edge_that_is_asked_no_more_serves_when_it_says_so() -> None:
    term = first_term("a", "b")
    term.add_wish(DrainAsked(edge="a", drain=True))
    settled(term, 0.1, report("a", "draining"))
    term.add_wish(DrainAsked(edge="a", drain=False))
    settled(term, 0.2, report("a", "draining"))
    assert holders(term) == {"b"}
    settled(term, 0.3, report("a"))
    assert holders(term) == {"a", "b"}


def test_wishes_are_bounded_and_the_oldest_goes() -> None:
    term = first_term("a")
    for n in range(MAX_WISHES + 1):
        term.add_wish(DrainAsked(edge=f"e{n}", drain=True))
    assert len(term.asked_to_drain) == MAX_WISHES
    assert "e0" not in term.asked_to_drain


EDGES = "abcd"
said = st.builds(
    lambda edge, state, connected: report(edge, state, connected=connected),
    st.sampled_from(EDGES),
    st.sampled_from(STATES),
    st.integers(0, 120),
)
wished = st.one_of(
    st.builds(DrainAsked, edge=st.sampled_from(EDGES), drain=st.booleans()),
    st.builds(EdgesAsked, edges=st.integers(0, 9)),
)
steps = st.lists(st.tuples(st.floats(0.0, 4.0), st.lists(st.one_of(said, wished), max_size=4)), max_size=30)


@given(steps, st.sets(st.integers(0, 29)))
def test_whatever_is_said_and_wished_each_number_has_one_living_edge_while_one_lives(
    history: list[tuple[float, list[EdgeReported | DrainAsked | EdgesAsked]]], takeovers: set[int]
) -> None:
    """The table of each step tiles the circle (its model checks that), names only edges with a URL, and none
    that is dead, stopped or draining while another serves; also when leaders change in between."""
    term, now = first_term("a"), 0.0
    for n, (seconds, records) in enumerate(history):
        now += seconds
        for record in records:
            if isinstance(record, EdgeReported):
                term.add_report(record, now)
            else:
                term.add_wish(record)
        term.settle(now)
        table = term.next_table()
        assert sum(shard.end - shard.start for shard in table.shards) == CIRCLE
        alive = {edge for edge, known in term.reports.edges.items() if known.alive}
        holding = {shard.edge for shard in table.shards}
        nobody: set[str | None] = {None}
        assert holding <= (term.table.serving or alive or nobody)
        assert holding - {None} <= table.urls.keys()
        assert not term.table.serving & term.asked_to_drain.keys()
        if n in takeovers:
            term, now = successor(table), 0.0


@given(edges=st.integers(1, 7), data=st.data())
def test_deaf_edges_hold_nothing_where_half_of_all_hear_and_everybody_stays_where_most_do_not(
    edges: int, data: st.DataObject
) -> None:
    names = [f"e{n}" for n in range(edges)]
    deaf = data.draw(st.sets(st.sampled_from(names)))
    term = first_term(*names)
    before = term.table.shards
    found_out = {name: data.draw(st.floats(1.0, 10.0)) for name in deaf}
    heard_again = {name: data.draw(st.floats(41.0, 50.0)) for name in deaf}
    for now in range(1, 80):
        others = names if 2 * len(deaf) > edges or not 26 <= now <= 40 else [*{*names} - deaf]
        said = (
            report(name, deaf=name in deaf and found_out[name] <= now < heard_again[name]) for name in names
        )
        settled(term, now, *said)
        if not 16 <= now <= 26 and not 40 < now <= 52:
            assert holders(term) == set(others), now
        if 2 * len(deaf) > edges:
            assert term.table.shards == before, "nobody moves for a partition that nobody hears"


@given(st.sampled_from(STATES[1:]), st.booleans())
def test_who_leaves_while_a_new_leader_has_not_heard_everybody_leaves_at_once(
    state: Literal["draining", "stopped"], is_asked: bool
) -> None:
    """Only edges that come with their clients wait."""
    term = successor(first_term("a", "b", "c").next_table())
    if is_asked:
        term.add_wish(DrainAsked(edge="a", drain=True))
    assert settled(term, 0.5, report("a", state, connected=7), report("b"))
    assert (holders(term), "a" in term.table.serving) == ({"b", "c"}, False)


def test_more_edges_may_stop_at_once_than_are_remembered() -> None:
    edges = [f"e{n}" for n in range(MAX_GONE + 5)]
    term = first_term(*edges, "last")
    settled(term, 1.0, *(report(edge, "stopped", connected=7) for edge in edges))
    assert holders(term) == {"last"}


def test_an_edge_that_holds_nothing_has_its_url_in_the_table_while_it_serves() -> None:
    """Its clients are online. All others stand at one point, which can't be divided."""
    term = first_term("a")
    settled(term, 1.0, report("a", points=[CIRCLE // 2] * 50), report("b", points=[]))
    assert holders(term) == {"a"}
    assert list(term.next_table().urls) == ["a", "b"]


@pytest.mark.parametrize("state", ["dead", "stopped"])
def test_a_wish_brings_no_edge_back_to_life(state: str) -> None:
    term = first_term("a", "b")
    settled(term, LONG_AFTER, report("b"), *([report("a", "stopped")] if state == "stopped" else []))
    term.add_wish(DrainAsked(edge="a", drain=True))
    assert term.settle(LONG_AFTER) == ()
    assert (term.reports.edges["a"].state, term.table.draining) == (state, frozenset())


def test_so_many_earlier_processes_of_an_edge_are_recognised_and_no_more() -> None:
    term = first_term("b")
    for n in range(MAX_REPLACED + 3):
        for _ in range(2):
            settled(term, float(n), report("b"), report("a", process=f"{n}"))
    assert len(term.reports.edges["a"].replaced) == MAX_REPLACED
    oldest = report("a", process="2")
    settled(term, 11.0, report("b"), oldest)
    assert term.reports.namesakes(11.0) == {"a": "http://a"}

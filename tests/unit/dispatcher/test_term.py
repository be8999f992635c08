"""What a leader decides, from the published table on."""

from dispatcher.term import MAX_MOVES, Term
from schemas.assignments import TableAssigned
from tests.unit.dispatcher.reports import report


def first_term(*edges: str) -> Term:
    term = Term(None, dead_after_s=3.0)
    for edge in edges:
        term.take(report(edge), 0.0)
    return term


def successor(published: TableAssigned, now: float = 0.0) -> Term:
    return Term(published, dead_after_s=3.0, now=now)


def test_a_new_leader_starts_from_the_published_table_with_a_higher_epoch() -> None:
    published = first_term("a", "b", "c").next_table()
    table = successor(published).next_table()
    assert (table.shards, table.urls) == (published.shards, published.urls)
    assert table.epoch == published.epoch + 1
    assert table.age_key > published.age_key


def test_nobody_moves_because_a_leader_died() -> None:
    term = successor(first_term("a", "b").next_table())
    assert [term.take(report(edge), now) for edge, now in (("a", 0.4), ("b", 2.9), ("a", 3.0))] == [()] * 3
    assert term.pass_time(3.1) == ()


def test_an_edge_that_died_with_the_leader_is_found_dead() -> None:
    term = successor(first_term("a", "b").next_table())
    term.take(report("a"), 1.0)
    moves = term.pass_time(3.1)
    assert {(move.from_edge, move.to_edge, move.reason) for move in moves} == {("b", "a", "dead")}
    assert list(term.next_table().urls) == ["a"]


def test_a_report_that_changes_nothing_gives_no_new_table() -> None:
    term = first_term("a", "b")
    before = term.content()
    term.take(report("a", connected=7), 1.0)
    assert term.content() == before


def test_another_url_is_another_table_without_a_move() -> None:
    term = first_term("a", "b")
    before = term.content()
    assert term.take(report("a", url="http://elsewhere"), 1.0) == ()
    assert term.content() != before
    assert term.next_table().urls["a"] == "http://elsewhere"


def test_a_draining_edge_has_no_url_in_the_table_unless_it_still_holds_something() -> None:
    term = first_term("a", "b")
    term.take(report("a", "draining"), 1.0)
    assert list(term.next_table().urls) == ["b"]
    term.take(report("b", "draining"), 1.0)
    table = term.next_table()
    assert {shard.edge for shard in table.shards} == set(table.urls)


def test_versions_grow_with_each_table() -> None:
    term = first_term("a")
    keys = [term.next_table().age_key for _ in range(5)]
    assert keys == sorted(set(keys))


def test_the_last_moves_are_kept_and_no_more() -> None:
    term = first_term("a", "b")
    for n in range(MAX_MOVES):
        term.take(report("b", "stopped"), float(n))
        term.take(report("b"), float(n))
    assert len(term.last_moves) == MAX_MOVES
    assert term.last_moves[-1][1].to_edge == "b"

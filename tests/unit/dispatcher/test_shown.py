"""What operators are shown."""

import json

from dispatcher.shown import show_published, show_term
from dispatcher.term import Pace, Term
from schemas.log_records import DrainAsked, EdgesAsked
from tests.unit.dispatcher.reports import report


def term_of_two() -> Term:
    term = Term(None, Pace(), name="dispatcher-0:9100")
    term.add_report(report("a", connected=7), 0.0)
    term.settle(0.0)
    term.add_report(report("b"), 2.0)
    term.settle(2.0)
    return term


def test_a_term_is_shown_whole() -> None:
    shown = json.loads(json.dumps(show_term(term_of_two(), 5.0)))
    assert [(shard["shard"], shard["edge"]) for shard in shown["shards"]] == [("[0-4]", "a"), ("[5-9]", "b")]
    assert shown["edges"][0] == {
        "edge": "a",
        "url": "http://a",
        "namesake": None,
        "state": "serving",
        "asked_to_drain": False,
        "connected": 7,
        "capacity": 100,
        "messages_per_s": None,
        "report_age_s": 5.0,
    }
    assert shown["moves"][0] == {"shard": "[5-9]", "from": "a", "to": "b", "reason": "joined", "age_s": 3.0}


def test_an_edge_whose_name_another_has_too_is_shown_with_the_others_url() -> None:
    term = term_of_two()
    term.add_report(report("a", url="http://other"), 2.5)
    rows = {row["edge"]: row for row in show_term(term, 3.0)["edges"]}
    assert (rows["a"]["url"], rows["a"]["namesake"], rows["b"]["namesake"]) == (
        "http://a",
        "http://other",
        None,
    )


def test_a_wish_for_a_dead_edge_is_shown_by_the_next_leader_too_so_that_it_can_be_taken_back() -> None:
    """Whoever starts an edge of that name again would wonder for what it waits."""
    term = term_of_two()
    term.add_wish(DrainAsked(edge="b", drain=True))
    term.settle(2.5)
    term = Term(term.next_table(), Pace())
    rows = {row["edge"]: row for row in show_term(term, 0.0)["edges"]}
    assert (rows["b"]["state"], rows["b"]["asked_to_drain"], rows["b"]["connected"]) == ("dead", True, None)
    term.add_report(report("b", "draining"), 0.5)
    term.settle(0.5)
    assert term.reports.edges["b"].state == "draining"
    assert term.table.draining == {"b"}


def test_a_standby_shows_the_published_table_the_wishes_and_who_leads() -> None:
    term = term_of_two()
    term.add_wish(DrainAsked(edge="a", drain=True))
    term.add_wish(EdgesAsked(edges=3))
    term.settle(3.0)
    shown = json.loads(json.dumps(show_published(term.next_table())))
    assert (shown["leading"], shown["leader"]) == (False, "dispatcher-0:9100")
    assert shown["edges_asked"] == 3
    facts = ("edge", "state", "asked_to_drain", "connected")
    assert [tuple(edge[fact] for fact in facts) for edge in shown["edges"]] == [
        ("a", "draining", True, None),
        ("b", "serving", False, None),
    ]


def test_a_standby_counts_nobody_as_serving_who_drains_and_is_named_for_want_of_others() -> None:
    term = term_of_two()
    for edge in ("a", "b"):
        term.add_wish(DrainAsked(edge=edge, drain=True))
    term.settle(3.0)
    published = term.next_table()
    assert published.urls
    assert show_published(published)["edges_serving"] == show_term(term, 3.0)["edges_serving"] == 0


def test_both_show_the_same_facts_and_so_does_a_standby_without_a_table() -> None:
    led = show_term(term_of_two(), 5.0)
    for published in (None, term_of_two().next_table()):
        assert show_published(published).keys() == led.keys()
    assert show_published(None)["leader"] is None
    assert show_published(None)["shards"] == [{"shard": "[0-9]", "start": 0, "end": 10**9, "edge": None}]

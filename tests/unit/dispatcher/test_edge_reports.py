"""Laws of what is concluded from edges' reports and from their silence."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.edge_reports import MAX_GONE, EdgeReports
from schemas.assignments import Shard, TableAssigned
from schemas.up_number import CIRCLE
from tests.unit.dispatcher.reports import report

DEAD_AFTER_S = 3.0
STATES: list[Literal["serving", "draining", "stopped"]] = ["serving", "draining", "stopped"]


def heard(*edges: str) -> EdgeReports:
    reports = EdgeReports(DEAD_AFTER_S)
    for edge in edges:
        reports.add(report(edge), 0.0)
    return reports


def test_three_missed_reports_are_death_and_two_are_not() -> None:
    reports = heard("a")
    assert reports.newly_dead(3.0) == []
    assert reports.newly_dead(3.01) == ["a"]


def test_an_edge_that_stops_is_gone_at_once_and_never_dies() -> None:
    reports = heard("a")
    assert reports.add(report("a", "stopped"), 1.0) == "stopped"
    assert reports.newly_dead(100.0) == []


def test_edges_of_a_published_table_live_until_they_miss_reports_from_then_on() -> None:
    reports = EdgeReports(DEAD_AFTER_S)
    shards = (Shard(start=0, end=CIRCLE, edge="a"),)
    urls = {"a": "http://a", "b": "http://b"}
    reports.expect(TableAssigned(epoch=1, version=1, shards=shards, urls=urls), ())
    assert reports.add(report("a"), 0.5) is None
    assert reports.newly_dead(3.0) == []
    assert reports.newly_dead(3.1) == ["b"]


def test_silence_is_forgiven_when_nobody_could_be_heard() -> None:
    reports = heard("a", "b")
    reports.forgive_silence(2.9, 5.0)
    assert reports.newly_dead(10.8) == []
    assert reports.newly_dead(11.0) == ["a", "b"]


def test_who_is_gone_was_heard_when_it_was_also_after_a_silence_that_is_forgiven() -> None:
    reports = heard("a", "b")
    reports.add(report("a", "stopped"), 1.0)
    assert reports.newly_dead(100.0) == ["b"]
    reports.forgive_silence(1_000.0, 5.0)
    assert {edge: known.heard_at for edge, known in reports.edges.items()} == {"a": 1.0, "b": 0.0}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(STATES), st.floats(0, 5)), max_size=60))
def test_events_tell_every_change_and_no_more(
    said: list[tuple[str, Literal["serving", "draining", "stopped"], float]],
) -> None:
    """Who follows the events knows of each edge what its last report and its silence say."""
    reports, now = EdgeReports(DEAD_AFTER_S), 0.0
    last: dict[str, tuple[str, float]] = {}
    told: dict[str, str] = {}
    for edge, state, pause in said:
        now += pause
        changes = [(name, "dead") for name in reports.newly_dead(now)]
        for name, (was, at) in last.items():
            if was in ("serving", "draining") and now - at > DEAD_AFTER_S:
                last[name] = ("dead", at)
        new_state = reports.add(report(edge, state), now)
        last[edge] = (state, now)
        for name, change in [*changes, *([(edge, new_state)] if new_state else [])]:
            assert told.get(name) != change
            told[name] = change
        gone = ("dead", "stopped")
        assert {e: s for e, s in told.items() if s not in gone} == {
            e: s for e, (s, _) in last.items() if s not in gone
        }


@pytest.mark.parametrize("heard_before", [True, False])
def test_only_so_many_edges_that_are_gone_are_remembered(heard_before: bool) -> None:
    reports = heard(*(f"e{n}" for n in range(MAX_GONE + 50) if heard_before), "alive")
    for n in range(MAX_GONE + 50):
        reports.add(report(f"e{n}", "stopped"), 1.0)
    assert len(reports.edges) == MAX_GONE + 1
    assert "alive" in reports.edges
    assert "e0" not in reports.edges


def test_a_name_that_two_had_is_told_no_more_once_its_edge_is_forgotten() -> None:
    reports = heard("a")
    assert reports.note_namesake(report("a", url="http://other"), 0.5)
    assert reports.namesakes(0.5) == {"a": "http://other"}
    for edge in ("a", *(f"e{n}" for n in range(MAX_GONE))):
        reports.add(report(edge, "stopped"), 1.0)
    assert "a" not in reports.edges
    assert reports.namesakes(1.0) == {}


def test_what_edges_that_die_together_said_last_is_known_until_the_next_die() -> None:
    names = [f"e{n}" for n in range(MAX_GONE + 50)]
    reports = heard(*names)
    assert len(reports.newly_dead(100.0)) == len(names)
    assert reports.newly_dead(100.0) == []
    assert all(reports.edges[name].report for name in names)
    reports.add(report("last"), 100.0)
    reports.newly_dead(200.0)
    assert len(reports.edges) == MAX_GONE + 1
    assert "e0" not in reports.edges

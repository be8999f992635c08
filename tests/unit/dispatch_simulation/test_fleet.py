"""The laws of simulated edges: clients follow the table, so many a second, and none is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.shard_table import ShardTable, edges_changed
from schemas.log_records import EdgeReported
from schemas.up_number import CIRCLE
from tests.dispatch_simulation.fleet import Fleet, FleetRates
from tests.dispatch_simulation.population import Population

NAMES = [f"edge-{n}" for n in range(6)]
USERS = 6_000
RATES = FleetRates(users=USERS, capacity=2_000, moves_per_s=100, drain_s=5)
EVERYBODY = ShardTable(serving=frozenset(NAMES))


def settled_fleet() -> tuple[Fleet, ShardTable]:
    table, _ = edges_changed(EVERYBODY, {NAMES[0]: "serving"})
    fleet = Fleet(NAMES, RATES, Population.zipf(3))
    fleet.online = 1.0
    fleet.settle_at_once(table)
    return fleet, table


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["serving", "draining", "dead"])), max_size=8)
)
def test_nobody_is_lost_or_doubled_whatever_the_table_does(changes: list[tuple[str, str]]) -> None:
    fleet, table = settled_fleet()
    for edge, state in changes:
        table, moves = edges_changed(table, {edge: state})
        fleet.follow(table, moves)
        assert sum(fleet.connected(edge) for edge in NAMES) == pytest.approx(USERS, abs=len(NAMES))


def test_an_edge_sends_no_more_away_in_a_second_than_it_may() -> None:
    fleet, table = settled_fleet()
    table, moves = edges_changed(table, {NAMES[0]: "draining"})
    before = fleet.connected(NAMES[0])
    assert before > 300
    fleet.follow(table, moves)
    assert fleet.connected(NAMES[0]) == pytest.approx(before - 100, abs=2)
    fleet.follow(table, ())
    assert fleet.connected(NAMES[0]) == pytest.approx(before - 200, abs=4)


def test_a_draining_edge_is_empty_in_time_and_a_dead_one_at_once() -> None:
    fleet, table = settled_fleet()
    fleet.become(NAMES[1], "draining")
    table, moves = edges_changed(table, {NAMES[1]: "draining"})
    for _ in range(round(RATES.drain_s) + 1):
        fleet.follow(table, moves)
    assert fleet.is_empty(NAMES[1])
    fleet.become(NAMES[2], "dead")
    table, moves = edges_changed(table, {NAMES[2]: "dead"})
    fleet.follow(table, moves)
    assert fleet.is_empty(NAMES[2])


def test_reports_are_such_as_a_dispatcher_takes() -> None:
    fleet, _ = settled_fleet()
    for report in fleet.reports():
        assert EdgeReported.read((("ce_type", EdgeReported.ce_type.encode()),), report.value()) == report
        assert report.spread
        assert all(0 <= point < CIRCLE for point in report.spread)

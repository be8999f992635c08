"""A fitness function grades honestly: what is unknown is no pass, what was lost is no pass."""

import pytest

from loadtest import fitness
from loadtest.fitness import Capacity, Function, Outcome, University, extrapolate
from loadtest.fitness_run import _unusual, carried
from loadtest.results import ServersSample
from loadtest.server_side import ServerMoment
from tests.unit.loadtest.results import result

MORE = Function("more is better", "", 10, 20)
LESS = Function("less is better", "s", 10, 1, smaller_is_better=True)


@pytest.mark.parametrize(
    ("function", "value", "grade"),
    [
        *[(MORE, 9, "FAIL"), (MORE, 10, "PASS"), (MORE, 19.9, "PASS"), (MORE, 20, "IDEAL")],
        *[(LESS, 10.1, "FAIL"), (LESS, 10, "PASS"), (LESS, 1, "IDEAL"), (LESS, 0, "IDEAL")],
        *[(MORE, None, "UNKNOWN"), (LESS, None, "UNKNOWN")],
    ],
)
def test_values_are_graded_by_their_bounds(function: Function, value: float | None, grade: str) -> None:
    assert function.grade(value) == grade


def test_a_value_that_was_reached_by_losing_messages_is_a_failure() -> None:
    assert Outcome(MORE, 30, "", broken=True).grade == "FAIL"


def test_the_documented_bounds_are_the_documented_ones() -> None:
    assert (fitness.ONLINE.least, fitness.TO_SELF.least, fitness.TO_SELF.ideal) == (10_000, 10, 1)
    assert (fitness.CHANNEL.least, fitness.CHANNEL.ideal) == (1 / 5, 1)
    assert (fitness.UPTIME.least, fitness.UPTIME.ideal) == (99, 99.9)
    for none_is_allowed in (fitness.UNUSUAL, fitness.AUDIT):
        assert [none_is_allowed.grade(count) for count in (0, 1)] == ["IDEAL", "FAIL"]


def test_the_table_has_a_row_a_function_and_says_grades() -> None:
    text = fitness.table([Outcome(MORE, 12_345, "some note"), Outcome(LESS, None, "nobody looked")])
    header, first, second = text.splitlines()
    assert "least" in header
    assert first.startswith("IDEAL")
    assert "12,345" in first
    assert ("≥ 10" in first, "≤ 10" in second) == (True, True)
    assert second.startswith("UNKNOWN")
    assert second.endswith("nobody looked")


MEASURED = Capacity(1_000, 30_000, edge_cores=0.3, broker_cores=0.1, locations_per_gateway_core=5_000)


def test_a_larger_university_needs_what_its_load_divided_by_what_a_core_carries_is() -> None:
    needs = extrapolate(MEASURED, University(students=100_000, each_s=5))
    assert "20,000 messages/s, 600,000 deliveries/s" in needs
    assert "edges: 10 of one core (6 by CPU at 10.0 µs a delivery, 10 by 10,000 sockets each)" in needs
    assert "brokers: 2 cores at 100 µs a message" in needs
    assert "gateways: 1 cores, for all to log in within 60 min (28 requests/s)" in needs
    assert "not as it is built" not in needs


def test_where_every_edge_can_no_longer_read_everything_it_says_so() -> None:
    needs = extrapolate(MEASURED, University())
    assert "edges: 1,200 " not in needs
    assert "edges: 2,000 of one core (1,200 by CPU" in needs
    assert "gateways: 2 cores" in needs
    assert "not as it is built: every edge would spend 16.0 cores" in needs
    assert "Past 62,500 messages/s" in needs


def test_what_was_carried_is_taken_from_the_servers_while_most_was_received() -> None:
    capacity = carried(result(), 1.0)
    assert capacity.deliveries_per_s == 100
    assert capacity.messages_per_s == 10
    assert capacity.edge_cores == pytest.approx(0.0015)
    assert capacity.broker_cores == pytest.approx(0.0005)


def test_what_the_edges_need_is_not_known_where_one_of_them_was_never_seen() -> None:
    one = result()
    capacity = carried(one.model_copy(update={"watched": [*one.watched, "edge-2"]}), 1.0)
    assert capacity.edge_cores is None
    assert capacity.broker_cores == pytest.approx(0.0005)


def test_what_was_not_looked_at_is_not_known_and_never_nothing() -> None:
    one = result()
    only_gateway = [
        ServersSample(at=at, servers={"api_gateway": ServerMoment(cpu_s=at * 0.1)}) for at in range(12)
    ]
    needs = extrapolate(carried(one.model_copy(update={"servers": only_gateway}), None), University())
    assert "edges: 2,000 by 10,000 sockets each; by CPU not known" in needs
    assert "gateways: not known" in needs
    assert "brokers: not known" in needs


def test_refusing_for_now_under_unusual_load_is_no_loss_and_refusing_for_good_is() -> None:
    one = result()
    one.moments[5].repeated = 7
    assert _unusual(one).grade == "IDEAL"
    assert "7 refused for now and taken later; 0 faults" in _unusual(one).note
    for fault in ("refused", "missing"):
        lost = _unusual(result(faults={fault: 5}))
        assert (lost.grade, lost.value) == ("FAIL", 5)
        assert f"5 {fault}" in lost.note

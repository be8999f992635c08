"""A run is judged by what was measured, and any fault breaks it."""

import json
from collections.abc import Iterable

import pytest

from loadtest.collector import Collector
from loadtest.crew import sum_seconds
from loadtest.latency import bucket_of
from loadtest.news import Second, Verdict
from loadtest.report import page
from loadtest.results import FAULTS, Result, ServersSample, formatted, judge
from loadtest.scenario import Objectives, Phase
from loadtest.server_side import MACHINE, ServerMoment
from tests.unit.loadtest.results import result, verdict


def ended(collector: Collector, *verdicts: Verdict, watched: Iterable[str] = ()) -> Result:
    """Return what was collected in a run of one process without faults, or of those with these verdicts."""
    found = list(verdicts) or [verdict({})]
    return collector.result(run="", started="", machine="", gateway="", verdicts=found, watched=watched)


def broken(of: Result) -> list[str]:
    return [one.what for one in of.judged if not one.held]


def test_without_faults_and_objectives_a_run_holds() -> None:
    one = result()
    assert one.ok
    assert [(judged.what, judged.got) for judged in one.judged] == [
        ("everything arrives once, in order", "0 faults")
    ]


@pytest.mark.parametrize("fault", FAULTS)
def test_any_fault_breaks_a_run_and_is_named(fault: str) -> None:
    one = result(faults={fault: 2})
    assert not one.ok
    assert one.judged[0].got == f"2 {fault.replace('_', ' ')}"


def test_what_any_process_lost_or_could_not_read_breaks_the_run_of_all() -> None:
    found = [verdict(faults) for faults in ({"missing": 2}, {"missing": 1, "unread": "503"}, {})]
    for verdicts in (found, found[::-1]):
        one = ended(Collector(result().scenario), *verdicts)
        assert (one.processes, one.verdict.missing, one.verdict.students) == (3, 3, 30)
        assert broken(one) == ["everything arrives once, in order", "history has all of it"]
        assert one.verdict.unread == "503"


def test_a_run_whose_history_could_not_be_read_has_not_held_and_misses_nothing() -> None:
    one = result(faults={"unread": "503"})
    assert [(judged.what, judged.got) for judged in one.judged if not judged.held] == [
        ("history has all of it", "history could not be read: 503")
    ]


def test_a_run_in_which_nothing_was_said_has_shown_nothing_but_how_many_were_online() -> None:
    silent = result(faults={"said": 0})
    assert broken(silent) == ["something is said"]
    assert broken(result(objectives=Objectives(online=10), faults={"said": 0})) == []


def test_only_measured_seconds_count_and_all_are_shown() -> None:
    one = result(latency_ms=20)
    assert one.deliver.count == 1000
    assert 20 <= one.deliver.p50 <= one.deliver.most <= 20 * 1.016
    assert one.deliveries_per_s == 100
    assert one.messages_per_s == 10
    assert min(one.moments[0].p50, one.moments[0].ack_p50) >= 5_000


def test_what_was_planned_while_measured_counts_however_late_it_comes() -> None:
    collector = Collector(result(objectives=Objectives(p99_ms=30, ack_p99_ms=30)).scenario)
    for at in range(12):
        collector.add(Second(at=at, online=10, planned=10))
    late = [(bucket_of(9_000_000), 100)]
    collector.add(Second(at=12, received=100, acked=100, deliver=late, ack=late, own=late))
    one = ended(collector)
    assert broken(one) == ["send → receive, p99", "send → ack, p99"]
    assert one.deliver.p50 == one.own.p50 >= 9_000
    assert (one.deliveries_per_s, one.generator_us_per_delivery) == (0, None)


def test_times_of_nothing_are_not_held() -> None:
    scenario = result(objectives=Objectives(p50_ms=30)).scenario
    collector = Collector(scenario)
    one = ended(collector)
    assert [(judged.what, judged.got) for judged in one.judged if not judged.held] == [
        ("send → receive, p50", "nothing came")
    ]


def test_a_run_that_was_ended_early_measures_nothing_after_that_and_has_not_held() -> None:
    scenario = result().scenario
    collector = Collector(scenario)
    for at in range(12):
        if at == 6:
            collector.end_early(5.5)
        collector.add(Second(at=at, online=10, planned=10 if at < 6 else 0, received=100 if at < 6 else 0))
    one = ended(collector)
    assert (one.messages_per_s, one.deliveries_per_s) == (10, 100)
    assert broken(one) == ["carried to its end"]


def test_a_run_that_was_ended_when_all_was_said_has_been_carried_to_its_end() -> None:
    collector = Collector(result().scenario)
    for at in range(12):
        collector.add(Second(at=at, online=10, planned=10, received=100))
    collector.end_early(12.5)
    one = ended(collector)
    assert (one.messages_per_s, one.ok) == (10, True)


@pytest.mark.parametrize(
    ("objectives", "what"),
    [
        (Objectives(p50_ms=10), "send → receive, p50"),
        (Objectives(p99_ms=10), "send → receive, p99"),
        (Objectives(ack_p99_ms=10), "send → ack, p99"),
        (Objectives(online=11), "students online"),
        (Objectives(server_us_per_delivery=10), "CPU of edges and broker a delivery"),
    ],
)
def test_an_objective_that_is_missed_is_named(objectives: Objectives, what: str) -> None:
    assert broken(result(objectives=objectives)) == [what]


def test_objectives_that_are_met_hold() -> None:
    met = Objectives(p50_ms=30, p99_ms=30, ack_p99_ms=30, online=10, server_us_per_delivery=30)
    one = result(objectives=met)
    assert one.ok
    assert len(one.judged) == 7, "with no fault, and the generator's own punctuality"


def test_a_delivery_costs_what_edges_and_broker_use_and_the_store_is_not_among_them() -> None:
    one = result()
    assert one.server_us_per_delivery == pytest.approx(20, rel=0.01)
    assert one.server_cpu == pytest.approx({"edge-1": 0.0015, "kafka": 0.0005, "store": 0.5})
    assert one.generator_us_per_delivery == pytest.approx(10)


def cpu_of(*looks: tuple[float, dict[str, float]], phases: tuple[Phase, ...] = ()) -> Result:
    """Return the result of a run of whose servers the CPU was seen at these moments."""
    talk = Phase(name="talk", seconds=10, each_s=1)
    scenario = result().scenario.model_copy(update={"phases": phases or (talk,)})
    collector = Collector(scenario)
    for at in range(int(scenario.seconds)):
        collector.add(Second(at=at, received=100))
    for moment, used in looks:
        servers = {name: ServerMoment(cpu_s=cpu_s) for name, cpu_s in used.items()}
        collector.servers.append(ServersSample(at=moment, servers=servers))
    return ended(collector, watched={name for _, used in looks for name in used})


def test_a_server_that_was_started_anew_or_was_silent_is_counted_by_what_was_seen_of_it() -> None:
    anew = cpu_of(*[(at, {"edge-1": at % 6 + 0.0}) for at in range(0, 11, 2)])
    assert anew.server_cpu == pytest.approx({"edge-1": 1.0})
    silent = cpu_of((0, {}), *[(at, {"edge-1": float(at)}) for at in (2, 4, 6, 8)], (10, {}))
    assert silent.server_cpu == pytest.approx({"edge-1": 1.0})


def test_what_a_server_does_between_measured_stretches_is_not_counted() -> None:
    talk = Phase(name="talk", seconds=10, each_s=1)
    phases = (talk, talk.model_copy(update={"measured": False}), talk)
    one = cpu_of(
        *[(at, {"edge-1": float(min(10, max(0, at - 10)))}) for at in range(0, 31, 2)], phases=phases
    )
    assert one.server_cpu == {"edge-1": 0.0}


def test_a_deliverys_cpu_is_not_known_where_only_the_edges_were_looked_at() -> None:
    looks = [(float(at), {"edge-1": at * 0.002}) for at in range(0, 11, 2)]
    edges_only = cpu_of(*looks)
    assert edges_only.server_us_per_delivery is None
    wanted = {"objectives": Objectives(server_us_per_delivery=1)}
    wants = edges_only.model_copy(update={"scenario": edges_only.scenario.model_copy(update=wanted)})
    assert broken(wants.model_copy(update={"judged": judge(wants)})) == []
    both = [(at, {**used, "kafka": used["edge-1"]}) for at, used in looks]
    assert cpu_of(*both).server_us_per_delivery == pytest.approx(40)


def test_a_deliverys_cpu_is_not_known_where_one_of_the_edges_was_never_seen() -> None:
    collector = Collector(result(objectives=Objectives(server_us_per_delivery=30)).scenario)
    for at in range(12):
        collector.add(Second(at=at, planned=10, received=100))
        servers = {name: ServerMoment(cpu_s=at * 0.001) for name in ("edge-1", "kafka")}
        collector.servers.append(ServersSample(at=at, servers=servers))
    seen = ended(collector, watched=("edge-1", "kafka", "edge-1"))
    assert seen.server_us_per_delivery == pytest.approx(20), "one is given by its URL and by its process"
    one = ended(collector, watched=("edge-1", "edge-2", "kafka"))
    assert one.server_us_per_delivery is None
    assert broken(one) == ["CPU of edges and broker a delivery"]


def test_an_objective_of_servers_that_could_never_be_looked_at_is_missed() -> None:
    one = result(objectives=Objectives(server_us_per_delivery=30))
    unseen = one.model_copy(update={"servers": [], "server_us_per_delivery": None})
    assert [(judged.what, judged.got) for judged in judge(unseen) if not judged.held] == [
        ("CPU of edges and broker a delivery", "unknown")
    ]


def test_what_a_delivery_costs_is_not_known_and_no_objective_held_where_none_came() -> None:
    collector = Collector(result(objectives=Objectives(server_us_per_delivery=30)).scenario)
    for at in range(0, 13, 2):
        servers = {name: ServerMoment(cpu_s=at * 0.002) for name in ("edge-1", "kafka", MACHINE)}
        collector.servers.append(ServersSample(at=at, servers=servers))
    one = ended(collector, watched={"edge-1", "kafka"})
    figures = (one.deliveries_per_s, one.messages_per_s, one.server_us_per_delivery, one.others_cpu)
    assert figures == (None,) * 4
    assert [(judged.what, judged.got) for judged in one.judged if not judged.held] == [
        ("CPU of edges and broker a delivery", "unknown")
    ]
    assert "unknown" in page([one])
    assert Result.model_validate_json(one.model_dump_json()) == one


def test_what_everything_else_on_the_machine_used_is_told_apart() -> None:
    assert result().others_cpu == pytest.approx(1.0, abs=0.001)


def test_a_generator_that_is_late_itself_breaks_what_it_measured() -> None:
    collector = Collector(result(objectives=Objectives(p99_ms=30)).scenario)
    for at in range(12):
        once = [(bucket_of(1_000), 1)]
        collector.add(Second(at=at, received=1, deliver=once, late=[(bucket_of(51_000), 1)]))
    late = ended(collector)
    assert broken(late) == ["the generator itself is on time (p99)"]


def test_a_result_survives_its_file_also_one_of_an_earlier_version() -> None:
    one = result(objectives=Objectives(p99_ms=10))
    saved = json.loads(one.model_dump_json())
    for second in saved["moments"]:
        second["reconnects"] = 0
    for look in saved["servers"]:
        look["servers"]["edge-1"] |= {"deliveries": 0.0, "connections": 0.0}
    assert Result.model_validate(saved) == one


def test_seconds_of_several_processes_are_added_up() -> None:
    total = sum_seconds(
        [
            Second(at=3, online=2, received=5, deliver=[(1, 2), (9, 1)]),
            Second(at=3, online=1, received=7, deliver=[(9, 3)], waits_for="the store"),
        ]
    )
    assert (total.at, total.online, total.received, total.waits_for) == (3, 3, 12, "the store")
    assert total.deliver == [(1, 2), (9, 4)]


def test_figures_are_shown_as_finely_as_they_mean_something() -> None:
    given = ((1234.56, "ms"), (1234.56, "/s"), (1234.56, ""), (1.234, "cores"), (None, "ms"))
    assert [formatted(*one) for one in given] == ["1,234.6 ms", "1,235 /s", "1,235", "1.23 cores", "unknown"]

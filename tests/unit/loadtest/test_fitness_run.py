"""What loads and a probe found becomes outcomes; a deployment that is away fails them, and is no crash."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from loadtest import fitness_run
from loadtest.fitness import Outcome
from loadtest.fitness_run import FitnessRun
from loadtest.probe import Probe
from loadtest.results import Result
from loadtest.run import Target
from loadtest.scenario import Scenario
from tests.unit.loadtest.results import result

AWAY = Target("http://127.0.0.1:1")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_SECRET", "a secret of a test, longer than 32 bytes")
    monkeypatch.setattr(fitness_run, "LOCATING", 2)


Outcomes = Callable[[Callable[[Scenario], Result]], Awaitable[tuple[dict[str, Outcome], str, list[str]]]]


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Outcomes:
    """Find outcomes by name, needs, and the names of the scenarios that were run with these results."""

    async def found(run: Callable[[Scenario], Result]) -> tuple[dict[str, Outcome], str, list[str]]:
        ran: list[str] = []

        async def run_scenario(scenario: Scenario, _target: Target, **_: Any) -> Result:
            ran.append(scenario.name)
            return run(scenario)

        monkeypatch.setattr(fitness_run, "run_scenario", run_scenario)
        of_run, needs = await FitnessRun(AWAY, tmp_path, stretch=0.1).run()
        return {one.function.name: one for one in of_run}, needs, ran

    return found


def kept_in(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.json")}


async def test_what_is_carried_without_loss_is_ideal(outcomes: Outcomes, tmp_path: Path) -> None:
    found, _, ran = await outcomes(lambda _: result())
    assert ran == ["fitness-online", "ideal-rate", "unusual"]
    assert found["channel capacity, each user"].grade == "IDEAL"
    assert found["message latency to self, p99"].grade == "IDEAL"
    assert found["messages lost under unusual load"].grade == "IDEAL"
    assert found["users online"].grade == "FAIL", "ten students are no ten thousand"
    assert kept_in(tmp_path) == set(ran)


async def test_where_the_ideal_rate_loses_messages_the_least_one_is_tried(outcomes: Outcomes) -> None:
    def run(scenario: Scenario) -> Result:
        return result(faults={"missing": 1} if scenario.name == "ideal-rate" else {})

    found, _, ran = await outcomes(run)
    assert "minimal-rate" in ran
    channel = found["channel capacity, each user"]
    assert (channel.value, channel.grade) == (0.2, "PASS")


async def test_losing_anything_fails_whatever_was_reached(outcomes: Outcomes) -> None:
    found, _, _ = await outcomes(lambda _: result(faults={"doubled": 1}))
    for name in ("users online", "channel capacity, each user", "messages lost under unusual load"):
        assert found[name].grade == "FAIL"
        assert "1 doubled" in found[name].note


async def test_what_was_lost_is_not_known_where_history_could_not_be_read(outcomes: Outcomes) -> None:
    found, _, _ = await outcomes(lambda _: result(faults={"unread": "503"}))
    for name in ("users online", "channel capacity, each user", "messages lost under unusual load"):
        assert found[name].grade == "UNKNOWN"
        assert "history could not be read: 503" in found[name].note


async def test_a_probe_that_died_takes_only_its_own_figure_with_it(
    outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(_probe: Probe, _every_s: float) -> None:
        raise RuntimeError("this is a test")

    monkeypatch.setattr(Probe, "run", die)
    found, _, _ = await outcomes(lambda _: result())
    assert found["uptime"].grade == "UNKNOWN"
    assert "this is a test" in found["uptime"].note
    assert found["channel capacity, each user"].grade == "IDEAL"


async def test_a_deployment_that_is_away_is_down_and_its_needs_are_not_known(outcomes: Outcomes) -> None:
    found, needs, _ = await outcomes(lambda _: result())
    assert found["uptime"].grade in {"FAIL", "UNKNOWN"}
    assert "not known" in needs

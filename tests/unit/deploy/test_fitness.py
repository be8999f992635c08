"""What is measured on a system started here: equal loads for all sizes, and an audit that never guesses."""

import signal
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Self

import pytest

from deploy.audit import Audit
from deploy.fitness import __main__ as fitness_main
from deploy.fitness import growth, local_target
from deploy.fitness.__main__ import main, outcome_of
from deploy.fitness.growth import DELIVERIES_PER_S, GROUP_SIZES, scenario
from deploy.local.signals import stops
from loadtest.crowd import make_crowd
from loadtest.schedule import talk


@pytest.mark.parametrize("members", GROUP_SIZES)
def test_groups_of_any_size_get_as_many_deliveries(members: int) -> None:
    wanted = scenario(members)
    crowd = make_crowd(wanted, "run", 0, 1)
    assert {len(group.members) for group in crowd.groups} == {members}
    said = sum(
        line.at_s >= wanted.seconds - wanted.phases[-1].seconds for line in talk(wanted, crowd, "seed")
    )
    per_s = said * members / wanted.phases[-1].seconds
    assert per_s == pytest.approx(DELIVERIES_PER_S, rel=0.25)


FINE = Audit((), 70, (), "")
FOUND = Audit(("aiohttp 1.0: CVE-1, mended in 1.1",), 70, (), "")
AWAY = Audit((), 0, ("requirements.txt",), "no service of vulnerabilities is in reach")


@pytest.mark.parametrize(
    ("audits", "grade"),
    [([FINE, FINE], "IDEAL"), ([FINE, FOUND], "FAIL"), ([FOUND, AWAY], "FAIL"), ([FINE, AWAY], "UNKNOWN")],
)
def test_an_audit_passes_only_where_everything_was_looked_up(audits: list[Audit], grade: str) -> None:
    assert outcome_of(audits).grade == grade


def test_no_system_is_started_for_a_scenario_that_there_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("deploy.fitness.__main__.local_target", None)
    assert main(["--scenario", "typo", "--out", str(tmp_path)]) == 2
    assert "typo is neither a ready scenario nor a file" in capsys.readouterr().err


def test_no_system_is_started_for_a_result_that_cannot_be_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("deploy.fitness.__main__.local_target", None)
    (tmp_path / "taken").write_text("")
    assert main(["--out", str(tmp_path / "taken")]) == 2
    assert "taken" in capsys.readouterr().err


def test_a_system_without_an_edge_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--edges", "0"])
    assert "--edges 0" in capsys.readouterr().err


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", [fitness_main, growth])
def test_whatever_asks_for_an_end_stops_the_system_in_order(
    command: ModuleType, stop: signal.Signals, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stopped: list[str] = []

    class System(SimpleNamespace):
        def __enter__(self) -> Self:
            self.backing = SimpleNamespace(store=None, kafka=None)
            self.services: dict[str, Any] = {}
            self.public_url = self.token_secret = "nobody's"
            return self

        def __exit__(self, *_: object) -> None:
            stopped.append("the system")

    def is_stopped(*_: object, **__: object) -> int:
        signal.raise_signal(stop)
        return 0

    monkeypatch.setattr(local_target, "LocalSystem", System)
    monkeypatch.setattr(fitness_main, "measure_fitness", is_stopped)
    monkeypatch.setattr(growth, "_row", is_stopped)
    monkeypatch.chdir(tmp_path)
    before = {number: signal.signal(number, lambda *_: None) for number in stops()}
    try:
        assert command.main([]) == 130
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert stopped == ["the system"]

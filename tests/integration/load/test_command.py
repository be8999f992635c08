"""The command runs a scenario against a deployment known by its URL, and its status says how it went."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.demo.local_system import LocalSystem
from deploy.fitness.local_target import watched
from deploy.repository import REPOSITORY
from loadtest.results import FAULTS, Result
from loadtest.server_side import MACHINE

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(300)]


def loadtest(*arguments: str, secret: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "loadtest", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "TOKEN_SECRET": secret},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_scenario_runs_against_a_system_and_leaves_a_result_and_a_report(
    local_system: LocalSystem, tmp_path: Path
) -> None:
    servers = watched(local_system)
    options = [f"--ops={name}={url}" for name, url in servers.ops_urls.items()]
    options += [f"--pid={name}={pid}" for name, pid in servers.pids.items()]
    ran = loadtest(
        "run",
        "smoke",
        *("--gateway", local_system.public_url, "--processes", "2", "--out", str(tmp_path)),
        *options,
        secret=local_system.token_secret,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (file,) = tmp_path.glob("load-smoke-*.json")
    result = Result.model_validate_json(file.read_text())
    verdict = result.verdict
    assert {name: getattr(verdict, name) for name in FAULTS} == dict.fromkeys(FAULTS, 0)
    assert verdict.said == verdict.acked == 320
    # All groups are of 8; who comes late to a group does not get what was said before.
    assert 320 * 4 < verdict.received <= 320 * 8
    assert verdict.connections > verdict.students, "half of all networks failed"
    assert verdict.history_checked > 0
    names = {*servers.ops_urls, *servers.pids}
    # Where looking at them takes longer than what is measured, none of them has a figure.
    assert {name for look in result.servers for name in look.servers} == {*names, MACHINE}
    assert not result.server_cpu or result.server_cpu.keys() == names
    assert "objectives held" in file.with_suffix(".html").read_text()
    again = loadtest("report", str(file), str(file), "--out", str(tmp_path / "both.html"))
    assert again.returncode == 0
    assert "B · smoke" in (tmp_path / "both.html").read_text()


def test_the_first_interrupt_ends_a_run_early_and_keeps_what_came_of_it(
    local_system: LocalSystem, tmp_path: Path
) -> None:
    command = ["run", "steady", "--gateway", local_system.public_url, "--stretch", "100", "--students", "20"]
    with subprocess.Popen(
        [sys.executable, "-m", "loadtest", *command, "--out", str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "TOKEN_SECRET": local_system.token_secret},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert any(" online " in line and " sent     0/s" not in line for line in running.stdout)
        running.send_signal(signal.SIGINT)
        said, complained = running.communicate()
    assert running.returncode == 1, said + complained
    assert "still judged" in complained
    (file,) = tmp_path.glob("load-steady-*.json")
    result = Result.model_validate_json(file.read_text())
    assert result.ended_early_s is not None
    assert "carried to its end" in {one.what for one in result.judged if not one.held}
    assert result.verdict.said == result.verdict.acked > 0
    assert {name: getattr(result.verdict, name) for name in FAULTS} == dict.fromkeys(FAULTS, 0)
    assert file.with_suffix(".html").exists()


def test_a_probe_reads_back_what_it_sends_to_itself(local_system: LocalSystem) -> None:
    probed = loadtest(
        "probe",
        *("--gateway", local_system.public_url, "--every", "0.2", "--for", "1"),
        secret=local_system.token_secret,
    )
    assert probed.returncode == 0, probed.stdout + probed.stderr
    assert "no failure" in probed.stdout


def test_what_cannot_be_carried_through_is_said_and_is_no_missed_objective(tmp_path: Path) -> None:
    run = ("run", "smoke", "--gateway", "http://127.0.0.1:1", "--out", str(tmp_path))
    nobody = loadtest(*run, secret="x" * 32)
    assert nobody.returncode == 2
    assert "FAILED: " in nobody.stderr
    assert "Traceback" not in nobody.stderr
    assert list(tmp_path.iterdir()) == []

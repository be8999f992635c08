"""What the demo prints is enough to use it by."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy.demo.campus import _print_ended, _print_urls
from deploy.demo.local_system import LocalSystem
from deploy.demo.university import small_university
from deploy.local.processes import ManagedProcess
from tests.unit.deploy.process_states import SLEEPER


def test_a_load_test_can_be_pointed_at_a_demo(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/home/ana/my chat/.venv/bin/python")
    system = SimpleNamespace(
        services={"dispatcher": SimpleNamespace(ops_url="http://dispatcher")},
        public_url="http://gateway",
        internal_url="http://internal",
        mint_token=lambda up: f"{up}'s token",
        token_secret="the secret of tokens",
        dispatcher_token="",
        service_token="",
        log_dir="logs",
    )
    university = small_university()
    _print_urls(cast("LocalSystem", system), university, university.students[0])
    command = "'/home/ana/my chat/.venv/bin/python' -m loadtest run smoke --gateway http://gateway"
    assert f"TOKEN_SECRET=the secret of tokens {command}\n" in capsys.readouterr().out


def test_each_end_of_a_process_is_said_once_and_one_that_is_yet_to_start_has_not_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = ManagedProcess("edge-3", SLEEPER, log_file=tmp_path / "edge-3.log")
    system: Any = SimpleNamespace(services={"edge-3": process}, backing=SimpleNamespace(processes=[]))
    known: set[str] = set()
    for _ in range(2):
        _print_ended(system, known)
        process.launch()
        _print_ended(system, known)
        assert capsys.readouterr().out == ""
        process.kill()
        _print_ended(system, known)
        assert capsys.readouterr().out.startswith("edge-3 has ended with status -9\n")
        _print_ended(system, known)
        assert capsys.readouterr().out == ""

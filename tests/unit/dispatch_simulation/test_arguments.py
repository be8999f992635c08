"""What cannot be simulated is refused, and not taken for what was not asked for."""

import sys

import pytest

from tests.dispatch_simulation.__main__ import main


@pytest.mark.parametrize("arguments", [("--edges", "1"), ("--users", "0"), ("--users", "-5")])
def test_there_must_be_edges_and_people(
    arguments: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["simulate", "--scenario", "rack-loss", "--edges", "3", *arguments])
    with pytest.raises(SystemExit):
        main()
    assert f"{arguments[0]}: " in capsys.readouterr().err

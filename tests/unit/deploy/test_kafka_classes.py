"""What `make setup` does for faster brokers never stands in its way."""

from pathlib import Path
from typing import NoReturn

import pytest

from deploy.local import kafka_classes


def refuse(_folder: Path, brokers: int) -> NoReturn:
    raise OSError("no free ports")


def test_where_there_is_no_native_kafka_nothing_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kafka_classes, "missing_for_native_kafka", lambda: "no java on the PATH")
    monkeypatch.setattr(kafka_classes, "plan_cluster", refuse)
    kafka_classes.main()
    assert capsys.readouterr() == ("", "")


def test_a_broker_that_does_not_start_is_said_and_forgiven_and_leaves_no_old_classes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kafka_classes, "CLASSES", tmp_path / "kept.jsa")
    monkeypatch.setattr(kafka_classes, "interrupt_on_signals", lambda: None)
    monkeypatch.setattr(kafka_classes, "missing_for_native_kafka", lambda: None)
    monkeypatch.setattr(kafka_classes, "plan_cluster", refuse)
    (tmp_path / "kept.jsa").touch()
    kafka_classes.main()
    assert "no free ports" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

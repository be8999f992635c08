"""Where there is nothing to replay, it is said why."""

from pathlib import Path

import pytest

from deploy.demo.replay import read_logs


def test_only_logs_are_read(tmp_path: Path) -> None:
    (tmp_path / "b.log").write_text("[10:00] <ana> olá\n")
    (tmp_path / "notes.txt").write_text("[10:00] <rui> not a log\n")
    assert [line.text for line in read_logs(tmp_path, None).lines] == ["olá"]
    assert [group.name for group in read_logs(tmp_path / "b.log", None).groups] == ["b.log"]


def test_a_folder_without_messages_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("nothing that anybody said\n")
    with pytest.raises(ValueError, match=r"holds no \*\.log with lines like"):
        read_logs(tmp_path, None)


def test_a_folder_that_is_not_there_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_logs(tmp_path / "nowhere", None)

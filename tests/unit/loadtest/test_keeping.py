"""A result is kept whole or not at all, and what was kept before it stays."""

import errno
from pathlib import Path

import pytest

from loadtest.keeping import keep, open_folder


def test_a_folder_is_made_with_all_above_it_and_nothing_stays_in_it(tmp_path: Path) -> None:
    open_folder(tmp_path / "a" / "b")
    open_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_disk_that_gets_full_leaves_what_was_there_and_is_said_with_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = keep(tmp_path / "result.json", "whole")
    write = Path.write_text

    def write_half(path: Path, text: str) -> None:
        write(path, text[: len(text) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write_half)
    with pytest.raises(OSError, match=r"result\.json cannot be written: .*No space left"):
        keep(kept, "another")
    assert kept.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [kept]

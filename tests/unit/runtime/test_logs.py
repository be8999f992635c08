"""Where no logs can be written a service says so and does not start."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


def a_file(folder: Path) -> Path:
    path = folder / "a-file"
    path.touch()
    return path


def where_a_file_cannot_be(folder: Path) -> Path:
    (folder / "error.log").mkdir()
    return folder


@pytest.mark.parametrize("stdout", ["json", "none"])
@pytest.mark.parametrize("make", [a_file, where_a_file_cannot_be])
def test_a_log_folder_that_cannot_be_written_is_said_in_one_line_like_any_wrong_setting(
    make: Callable[[Path], Path], stdout: str, tmp_path: Path
) -> None:
    folder = make(tmp_path)
    env = {**os.environ, "LOG_DIR": str(folder), "LOG_STDOUT": stdout}
    started = [sys.executable, "-m", "persister"]
    done = subprocess.run(started, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    (said,) = done.stderr.splitlines()
    assert said.startswith("persister: LOG_DIR: ")
    assert str(folder) in said

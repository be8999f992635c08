"""Where no logs can be written a service says so and does not start; what is written is not buried."""

import os
import re
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


OUTAGE = """
import importlib
import logging
import sys
import time
from runtime import logs
from runtime.settings import ServiceSettings

logs.install("test", ServiceSettings())
importlib.import_module(sys.argv[1])
alike = logging.getLogger(sys.argv[1])
for n in range(1_000):
    alike.error("it failed", extra=logs.facts(number=n))
    logging.getLogger("edge_server.cut_off").error("our own %s", n)
    alike.debug("a step")
now = time.monotonic()
time.monotonic = lambda: now + 60
alike.error("it failed", extra=logs.facts(number=1_000))
"""


@pytest.mark.parametrize(
    "logger",
    [
        "aiokafka.client",
        "api_gateway.log_writer",
        "edge_server.presence",
        "edge_server.publish",
        "persister.dead_letters",
        "runtime.log_folds",
    ],
)
def test_what_fails_again_and_again_does_not_bury_what_else_is_said(logger: str, tmp_path: Path) -> None:
    env = {**os.environ, "LOG_DIR": str(tmp_path), "LOG_STDOUT": "json", "LOG_LEVEL": "debug"}
    command = [sys.executable, "-c", OUTAGE, logger]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60)
    for said in (done.stdout, (tmp_path / "error.log").read_text(), (tmp_path / "combined.log").read_text()):
        assert said.count("our own") == 1_000
        failed = [line for line in said.splitlines() if "it failed" in line]
        assert len(failed) < 100
        assert re.search(r'"number": 1000, "left_out": [0-9]+', failed[-1])
        left_out = [int(number) for number in re.findall(r'"left_out": ([0-9]+)', said)]
        assert sum(left_out) == 1_001 - len(failed)
    assert done.stdout.count("a step") == (0 if logger == "aiokafka.client" else 1_000)

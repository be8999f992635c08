"""Where no logs can be written a service says so and does not start; what is written is not buried."""

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread

import pytest

from runtime.logs import JsonLine
from runtime.stdout_lines import MAX_WAITING_BYTES, StdoutLines


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


MANY_LINES = """
import logging
from runtime import logs
from runtime.settings import ServiceSettings

logs.install("test", ServiceSettings())
for n in range(1_000):
    logging.getLogger("test").error("%s", str(n) + 1_000 * "x")
"""
QUIET = {**os.environ, "LOG_DIR": ""}


def test_a_service_goes_on_and_ends_while_nobody_takes_its_lines() -> None:
    """Otherwise its event loop waits, too: a collector that hangs would fail all probes."""
    reading, writing = os.pipe()
    command = [sys.executable, "-c", MANY_LINES]
    try:
        subprocess.run(command, env=QUIET, stdout=writing, check=True, timeout=60)
    finally:
        os.close(writing)
    with open(reading, encoding="utf-8") as taken:  # noqa: PTH123 - a descriptor
        first = taken.readline()
    assert json.loads(first)["message"] == "0" + 1_000 * "x"


@pytest.mark.parametrize(("closed", "lines"), [(">&-", 1_000), (">&- 2>&-", 0)])
def test_a_service_whose_stdout_was_closed_writes_to_stderr_if_it_has_one(closed: str, lines: int) -> None:
    command = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, MANY_LINES]
    done = subprocess.run(command, env=QUIET, capture_output=True, text=True, check=True, timeout=60)
    assert [json.loads(line)["level"] for line in done.stderr.splitlines()] == lines * ["error"]


def line_of(text: str) -> logging.LogRecord:
    return logging.LogRecord("test", logging.ERROR, __file__, 0, text, None, None)


def until_written(lines: StdoutLines) -> None:
    while lines._waiting_bytes:
        lines.flush()


def test_a_finalizer_that_logs_in_the_thread_that_writes_stops_nobody() -> None:
    """Garbage is collected in any thread: asyncio logs the exception of a task that is lost where that is."""
    with Path(os.devnull).open("wb") as nowhere:
        lines = StdoutLines(nowhere.fileno())
        collecting, handling = Event(), Event()

        class Garbage(list[bytes]):
            """Collected when the thread that writes asks whether there are lines."""

            def __bool__(self) -> bool:
                if len(self) == 1:
                    collecting.set()
                    handling.wait()
                    lines.handle(line_of("never retrieved"))
                return len(self) > 0

        def handle() -> None:
            handling.set()
            lines.handle(line_of("said"))

        lines._lines = Garbage()
        lines.handle(line_of("one"))
        collecting.wait()
        loop = Thread(target=handle, daemon=True)
        loop.start()
        loop.join(timeout=30)
        assert not loop.is_alive()
        until_written(lines)


def test_lines_that_nobody_takes_are_bounded_and_the_next_one_says_how_many_were_left_out() -> None:
    reading, writing = os.pipe()
    lines = StdoutLines(writing)
    lines.setFormatter(JsonLine("test"))
    text, emitted = 10_000 * "x", 2_000
    assert emitted * len(text) > 2 * MAX_WAITING_BYTES
    for _ in range(emitted):
        lines.handle(line_of(text))
    with open(reading, encoding="utf-8") as taken, ThreadPoolExecutor() as pool:  # noqa: PTH123 - a descriptor
        reader = pool.submit(taken.readlines)
        until_written(lines)
        lines.handle(line_of("again"))
        until_written(lines)
        os.close(writing)
        *waited, again = map(json.loads, reader.result())
    assert {line["message"] for line in waited} == {text}
    assert len(waited) * len(text) <= MAX_WAITING_BYTES
    assert (again["message"], again["left_out"]) == ("again", emitted - len(waited))


def test_lines_that_cannot_be_written_are_left_out_and_later_ones_are_written() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    lines = StdoutLines(writing)
    lines.setFormatter(JsonLine("test"))
    for _ in range(3):
        lines.handle(line_of("lost"))
        until_written(lines)
    reading, again = os.pipe()
    os.dup2(again, writing)
    record = line_of("there again")
    lines.handle(record)
    assert not hasattr(record, "facts"), "a log file lacks nothing"
    with open(reading, encoding="utf-8") as taken:  # noqa: PTH123 - a descriptor
        last = json.loads(taken.readline())
    assert (last["message"], last["left_out"]) == ("there again", 3)

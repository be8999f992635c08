"""Whatever asks a command to end interrupts it once, and nothing disturbs its stop."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.repository import REPOSITORY

COMMAND = """
import os, signal, sys
from deploy.local.signals import interrupt_on_signals

interrupt_on_signals()
try:
    os.kill(os.getpid(), int(sys.argv[1]))
    signal.pause()
except KeyboardInterrupt:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(os.getpid(), number)
    print("stopped in order")
"""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_interrupts_a_command_and_later_ones_do_not_disturb_its_stop(
    stop: signal.Signals,
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", COMMAND, str(int(stop))],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "stopped in order\n"


WATCHING = """
import os, sys
from contextlib import contextmanager
from types import SimpleNamespace
from deploy.prometheus import __main__ as command

@contextmanager
def prometheus(folder, _):
    (folder / "data").write_text("much")
    yield SimpleNamespace(where="nowhere", require_alive=lambda: None)

class Said:
    def write(self, text):
        if "nowhere" in text:
            os.kill(os.getpid(), stop)

    def flush(self):
        pass

stop = int(sys.argv.pop())
command.is_installed, command.local_prometheus, sys.stdout = lambda: True, prometheus, Said()
sys.exit(command.main())
"""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_prometheus_leaves_nothing_behind_whatever_asks_for_its_end(
    stop: signal.Signals, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WATCHING, str(int(stop))],
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        check=False,
        timeout=60,
    )
    assert (ended.returncode, list(tmp_path.iterdir())) == (0, [])


# A first line of #! has no room for an interpreter whose path has a space.
ENDS_ONCE_IT_IS_READY = """#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Ready(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

(address,) = (one.partition("=")[2] for one in sys.argv if one.startswith("--web.listen-address="))
host, port = address.split(":")
HTTPServer((host, int(port)), Ready).handle_request()
sys.exit("its disk is full")
"""


def test_a_prometheus_that_ends_by_itself_ends_its_command_with_what_it_said(tmp_path: Path) -> None:
    program = tmp_path / "prometheus"
    program.write_text(ENDS_ONCE_IT_IS_READY.format(python=sys.executable))
    program.chmod(0o755)
    ended = subprocess.run(
        [sys.executable, "-m", "deploy.prometheus"],
        cwd=REPOSITORY,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 1
    assert "FAILED: prometheus ended with status 1\n" in ended.stderr
    assert "its disk is full" in ended.stderr

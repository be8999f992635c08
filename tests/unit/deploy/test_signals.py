"""Whatever asks a command to end interrupts it once, and nothing disturbs its stop."""

import signal
import subprocess
import sys

import pytest

from deploy.local.kafka_native import REPOSITORY

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

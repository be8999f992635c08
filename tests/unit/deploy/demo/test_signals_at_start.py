"""A signal that comes while the event loop starts or ends waits: one that it interrupts cannot be closed."""

import subprocess
import sys

from deploy.repository import REPOSITORY

PROGRAM = """
import asyncio, os, signal, sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
import uvloop
from deploy.demo import __main__ as demo
from deploy.local.processes import ManagedProcess

class Loop(uvloop.Loop):
    def run_forever(self):
        os.kill(os.getpid(), signal.SIGTERM)
        print("it starts")
        super().run_forever()

    def close(self):
        os.kill(os.getpid(), signal.SIGTERM)
        super().close()
        print("it is closed")

def run(work):
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(work)

demo.uvloop = SimpleNamespace(run=run)
class System(nullcontext):
    edges = ()

    def __enter__(self):
        ManagedProcess("a service", ["true"], log_file=Path(os.devnull)).launch()  # by a thread that lives on

demo.LocalSystem = lambda **_: System()
demo.run_campus = lambda _: asyncio.sleep(60)
sys.exit(demo.main([]))
"""


def test_a_signal_while_the_loop_starts_or_ends_waits() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    after = done.stdout.split("ready\n")[1]
    assert after.startswith("it starts\n"), "interrupted before"
    assert after.endswith("it starts\nit is closed\nstopping\nstopped\n")

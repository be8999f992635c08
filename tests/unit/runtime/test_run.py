"""A service as a process ends when it has closed its parts."""

import json
import os
import subprocess
import sys

from deploy.repository import REPOSITORY

SERVICE = """
import asyncio
import os
import signal
import time
from runtime.service import run
from runtime.settings import ServiceSettings

async def start(service, settings):
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 600)
    os.kill(os.getpid(), signal.SIGTERM)

run("test", ServiceSettings, start)
"""


def test_a_thread_that_still_waits_does_not_keep_a_stopped_process_alive() -> None:
    """Names are looked up in threads: while no DNS server answers, nothing can end such a look-up."""
    env = {**os.environ, "LOG_DIR": "", "LOG_STDOUT": "json"}
    command = [sys.executable, "-c", SERVICE]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=env, stdout=subprocess.PIPE, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout.splitlines()[-1])["message"] == "stopping"

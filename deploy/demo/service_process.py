"""One service as a process of this machine: when it is ready, and the handles to disturb it. Blocking."""

import json
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from deploy.demo.environment import HOST, Planned
from deploy.local.processes import ManagedProcess, wait_until

READY_DEADLINE_S: Final = 90.0
PROBE_TIMEOUT_S: Final = 2.0

_REPOSITORY: Final = Path(__file__).resolve().parents[2]


class ServiceProcess:
    """A service that keeps its ports and its name over stop, kill and start."""

    def __init__(self, planned: Planned, log_dir: Path) -> None:
        self.name = planned.name
        self.ops_url = f"http://{HOST}:{planned.ops_port}"
        self._ops_port = planned.ops_port
        self.process = ManagedProcess(
            name=planned.name,
            argv=[sys.executable, "-m", planned.module],
            env=planned.env,
            log_file=log_dir / planned.name / "stdout.log",
            cwd=_REPOSITORY,
        )

    def launch(self) -> None:
        """Start it without waiting for it."""
        self.process.start()

    def wait_ready(self, deadline_s: float = READY_DEADLINE_S) -> None:
        """Wait until it may be given work. Raises when it ends instead, or takes too long."""

        def ready() -> bool:
            self.process.require_alive()
            return self.is_ready()

        wait_until(ready, deadline_s, f"{self.name} ready at {self.ops_url}")

    def start(self) -> None:
        """Start it and wait until it may be given work."""
        self.launch()
        self.wait_ready()

    def is_ready(self) -> bool:
        """Whether ``/readyz`` says so now; another process on our port says nothing about this one."""
        connection = HTTPConnection(HOST, self._ops_port, timeout=PROBE_TIMEOUT_S)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            return answer.status == 200 and json.loads(answer.read())["pid"] == self.process.pid
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """Stop it in order (SIGTERM)."""
        self.process.stop()

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        self.process.kill()

    def freeze(self) -> None:
        """Stop it where it stands: its connections stay open and say nothing."""
        self.process.freeze()

    def thaw(self) -> None:
        """Let a frozen one go on."""
        self.process.thaw()

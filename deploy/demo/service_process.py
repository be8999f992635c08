"""One service as a process of this machine, and when it is ready."""

import json
import sys
from pathlib import Path
from typing import Final

from deploy.demo.environment import Planned
from deploy.local.http_get import http_get
from deploy.local.ports import HOST
from deploy.local.restartable import RestartableProcess
from deploy.repository import REPOSITORY

READY_DEADLINE_S: Final = 90.0
PROBE_TIMEOUT_S: Final = 2.0


class ServiceProcess(RestartableProcess):
    """One of our services, as it was planned."""

    def __init__(self, planned: Planned, log_dir: Path) -> None:
        super().__init__(
            planned.name,
            [sys.executable, "-m", planned.module],
            where=f"http://{HOST}:{planned.ops_port}",
            start_deadline_s=READY_DEADLINE_S,
            log_file=log_dir / planned.name / "stdout.log",
            env=planned.env,
            cwd=REPOSITORY,
        )

    @property
    def ops_url(self) -> str:
        """The URL of its health and metrics."""
        return self.where

    def is_ready(self) -> bool:
        """Whether ``/readyz`` answers ready with this process's pid: another process may have our port."""
        try:
            status, body = http_get(f"{self.ops_url}/readyz", PROBE_TIMEOUT_S)
        except OSError:
            return False
        return status == 200 and _pid_in(body) == self.pid


def _pid_in(answer: bytes) -> object:
    """Return the pid in the answer; None if it is not an answer of a service of ours."""
    try:
        status = json.loads(answer)
    except ValueError:
        return None
    return status.get("pid") if isinstance(status, dict) else None

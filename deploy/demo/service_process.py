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
        """Where it tells of its health, and shows its metrics."""
        return self.where

    def is_ready(self) -> bool:
        """Whether ``/readyz`` says so now; another process on our port says nothing about this one."""
        try:
            status, body = http_get(f"{self.ops_url}/readyz", PROBE_TIMEOUT_S)
        except OSError:
            return False
        return status == 200 and _pid_in(body) == self.pid


def _pid_in(answer: bytes) -> object:
    """Return whose answer it is; None where it is no answer of a service of ours."""
    try:
        said = json.loads(answer)
    except ValueError:
        return None
    return said.get("pid") if isinstance(said, dict) else None

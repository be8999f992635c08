"""A part of the system that does not get ready says why, as far as its log does."""

import sys
from pathlib import Path

import pytest

from deploy.local.processes import wait_until
from deploy.local.restartable import RestartableProcess
from tests.unit.deploy.process_states import DEADLINE_S, SLEEPER, has_said

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ends its child by Linux' means")


class NeverReady(RestartableProcess):
    """Waits for something that does not come."""

    def is_ready(self) -> bool:
        return False


def test_what_does_not_get_ready_in_time_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    log_file = tmp_path / "sleeper.log"
    part = NeverReady("sleeper", SLEEPER, where="nowhere", start_deadline_s=0.0, log_file=log_file)
    part.launch()
    try:
        wait_until(lambda: has_said(log_file, "up"), DEADLINE_S, "the child is up")
        with pytest.raises(TimeoutError, match=r"sleeper ready at nowhere: not within 0 s\nup$"):
            part.wait_ready()
    finally:
        part.kill()

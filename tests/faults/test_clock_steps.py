"""A service's clock steps by an hour, forwards and back: nobody is disconnected, and nothing is lost."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from tests.faults.crowd import open_crowd
from tests.faults.outcomes import Outcome
from tests.faults.recording import MOVED
from tests.faults.stage import Stage

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(600)]

STEPS: Final = ("+3600", "-3600", "+0")
NOTICED_WITHIN_S: Final = 1.0
SOAK_S: Final = 2.0
"""Long enough for each periodic look of the services (tokens, reports, liveness) to see the new time."""


def library() -> Path | None:
    """Return Debian's libfaketime, where it is installed."""
    return next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)


def stepped_by(clock: Path) -> dict[str, str]:
    """Return what lets a service have the clock that stands in a file; its steady clock stays true."""
    return {
        "LD_PRELOAD": str(library()),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": str(int(NOTICED_WITHIN_S)),
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


@pytest.mark.skipif(library() is None, reason="needs libfaketime (Debian's package faketime)")
async def test_a_step_of_the_clock_disconnects_nobody(
    stage: Stage, seed: int, minutes: float, outcome: Outcome, tmp_path: Path
) -> None:
    """the clocks of an edge and of the dispatcher step by an hour, forwards and back"""
    clock = tmp_path / "clock"
    clock.write_text("+0")
    services = [stage.system.services[name] for name in ("edge-2", "dispatcher")]
    with stage.told(services, stepped_by(clock)):
        async with open_crowd(stage.system, seed) as crowd:
            async with crowd.chatting():
                await crowd.probe()
                crowd.recorder.losses.clear()
                for step in STEPS * (5 if minutes else 1):
                    clock.write_text(step)
                    await asyncio.sleep(NOTICED_WITHIN_S + SOAK_S)
                    outcome.recovered_s.append(await crowd.probe())
                    outcome.counts[step] += 1
                assert not [why for why in crowd.recorder.losses if why != MOVED]
            outcome.checked = await crowd.judge()

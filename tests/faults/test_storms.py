"""Everybody loses the connection at once, again and again: all come back, and nobody has missed anything."""

import asyncio
from typing import Final

import pytest

from tests.faults.crowd import LARGE, SMALL, open_crowd
from tests.faults.outcomes import Outcome
from tests.faults.stage import Stage

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(600)]

STORMS: Final = 3
STORMS_LONG: Final = 30


async def test_a_reconnect_storm_loses_nobody(
    stage: Stage, seed: int, minutes: float, outcome: Outcome
) -> None:
    """all clients reconnect at once"""
    async with open_crowd(stage.system, seed, LARGE if minutes else SMALL) as crowd:
        students = list(crowd.by_up.values())
        async with crowd.chatting():
            for _ in range(STORMS_LONG if minutes else STORMS):
                before = [student.connections for student in students]
                for student in students:
                    student.drop_connection()
                outcome.recovered_s.append(await crowd.probe())
                async with asyncio.timeout(120):
                    for student in students:
                        await student.joined.wait()
                again = sum(student.connections for student in students) - sum(before)
                assert again >= len(students)
                outcome.counts["reconnects"] += again
        outcome.checked = await crowd.judge()

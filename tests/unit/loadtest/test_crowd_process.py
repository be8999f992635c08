"""A process of students comes to its verdict whatever the deployment does."""

import asyncio
import time
from typing import cast

import pytest

from loadtest.crowd_process import CrowdProcess
from loadtest.news import Job, Verdict
from loadtest.rest import RestApi
from loadtest.scenario import Phase, Scenario
from loadtest.tokens import TokenSource

DEADLINE_S = 60.0
SECRET = "a secret of a test, longer than 32 bytes"


class NoEdges:
    """A gateway whose edges cannot be reached from here."""

    async def create_group(self, *_: object) -> None: ...

    async def locate(self, _token: str) -> str:
        raise ConnectionError("no way to the edge")

    async def page(self, *_: object, **__: object) -> None:
        raise ConnectionError("no history")


async def verdict_of(scenario: Scenario, api: object) -> Verdict:
    job = Job(scenario=scenario.model_dump_json(), gateway="", run="a run", number=0, of=1)
    process = CrowdProcess(job, TokenSource(SECRET, {}), cast("RestApi", api))
    await process.prepare()
    async with asyncio.timeout(DEADLINE_S):
        return await process.play(time.time())


async def test_students_who_cannot_connect_are_a_fault_and_do_not_keep_the_run_from_ending(
    caplog: pytest.LogCaptureFixture,
) -> None:
    quiet = Scenario(
        name="quiet", about="", students=100, settle_s=0.2, phases=(Phase(name="come online", seconds=0.1),)
    )
    assert (await verdict_of(quiet, NoEdges())).absent == 100
    assert "no way to the edge" in caplog.text

"""Fixtures of the fault tests: one disturbed system for all of them, and the report of a long run.

FAULTS_MINUTES makes the long form; FAULTS_SEED repeats a run's decisions.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest

from tests.faults.outcomes import Outcome, page
from tests.faults.stage import Stage, open_stage, require_native

OUTCOMES = pytest.StashKey[list[Outcome]]()


@pytest.fixture(scope="session")
def minutes() -> float:
    """Minutes of the long form; 0 is the short one."""
    return float(os.environ.get("FAULTS_MINUTES", "0"))


@pytest.fixture
def long_only(minutes: float) -> None:
    """Skip a test but in the long form: all tests together take minutes."""
    if not minutes:
        pytest.skip("in the long form only: make faults")


@pytest.fixture
def seed() -> int:
    """What decides everything in a test; it is printed."""
    seed = int(os.environ.get("FAULTS_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
    print(f"FAULTS_SEED={seed}")
    return seed


@pytest.fixture(scope="package")
def whole_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The disturbed system, started once. An idle one takes a sixth of a core from the tests after these."""
    require_native()
    with open_stage(tmp_path_factory.mktemp("stage")) as opened:
        yield opened


@pytest.fixture
async def stage(whole_stage: Stage) -> AsyncIterator[Stage]:
    """The disturbed system. Whatever a test did to it, it is put right again afterwards."""
    yield whole_stage
    await asyncio.to_thread(whole_stage.put_right)


@pytest.fixture
def outcome(request: pytest.FixtureRequest) -> Outcome:
    """What the test did, for the report: its own docstring says it."""
    kept = request.config.stash.setdefault(OUTCOMES, [])
    mine = Outcome(" ".join((request.function.__doc__ or request.node.name).split()))
    kept.append(mine)
    return mine


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that came to its end and does not say what it checked: the report would say it did not."""
    report = yield
    outcome = item.funcargs.get("outcome")
    if report.when == "call" and report.passed and isinstance(outcome, Outcome) and not outcome.checked:
        report.outcome, report.longrepr = "failed", "it does not say what it checked"
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report of a long run."""
    outcomes = session.config.stash.get(OUTCOMES, [])
    minutes = float(os.environ.get("FAULTS_MINUTES", "0"))
    if outcomes and minutes:
        now = time.strftime("%Y-%m-%d-%H%M%S")
        file = Path("reports") / f"faults-{now}.md"
        file.parent.mkdir(exist_ok=True)
        file.write_text(page(outcomes, title=f"Faults, {minutes:g} minutes, {now}"))
        print(f"\nthe report is {file}")

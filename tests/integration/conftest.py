"""Fixtures of the integration tests: one broker and one store a run."""

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.backing import RunningBacking
from tests.integration.backing import Log, open_log, running_backing


@pytest.fixture(scope="session")
def backing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBacking]:
    """The real broker and store; the environment points to them."""
    with running_backing(tmp_path_factory.mktemp("backing")) as running:
        yield running


@pytest.fixture
async def log(backing: RunningBacking) -> AsyncIterator[Log]:
    """The log, open for writing."""
    async with open_log() as opened:
        yield opened

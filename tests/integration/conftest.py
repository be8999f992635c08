"""Fixtures of the integration tests: one broker and one store for all of them."""

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.demo.local_system import LocalSystem
from deploy.local.backing import RunningBacking
from tests.integration.backing import Log, open_log, running_backing
from tests.integration.demo.system import Campus, open_campus, running_system


@pytest.fixture(scope="package")
def backing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBacking]:
    """The real broker and store; the environment points to them."""
    with running_backing(tmp_path_factory.mktemp("backing")) as running:
        yield running


@pytest.fixture
def durable(backing: RunningBacking) -> None:
    """Skip where the broker is the one in memory: a stop ends its records, and it shares no partitions."""
    if not backing.kafka_durable:
        pytest.skip("the broker in memory cannot do this")


@pytest.fixture
async def log(backing: RunningBacking) -> AsyncIterator[Log]:
    """The log, open for writing."""
    async with open_log() as opened:
        yield opened


@pytest.fixture(scope="package")
def local_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    """The whole system with two edges, every service a real process. Who disturbs it puts it right again."""
    with running_system(tmp_path_factory.mktemp("system")) as system:
        yield system


@pytest.fixture
async def campus(local_system: LocalSystem) -> AsyncIterator[Campus]:
    """A session with the whole system."""
    async with open_campus(local_system) as opened:
        yield opened

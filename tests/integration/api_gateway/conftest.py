"""A database that a real persister fills, for each file of tests."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest

from deploy.local.backing import RunningBacking
from tests.integration.persister.processes import Persister
from tests.waiting import eventually


@pytest.fixture(scope="module")
def stored(backing: RunningBacking, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a database into which a persister writes the log."""
    database = f"test_{uuid4().hex[:12]}"
    persister = Persister(tmp_path_factory.mktemp("persister"), database)
    persister.process.launch()
    try:
        asyncio.run(eventually("the persister is ready", persister.is_ready))
        yield database
    finally:
        persister.process.kill()

"""A world for each test of the dispatcher."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local.backing import RunningBacking
from tests.integration.dispatcher.dispatchers import World, world


@pytest.fixture
async def here(backing: RunningBacking, tmp_path: Path) -> AsyncIterator[World]:
    """A world on the real broker."""
    async with world(tmp_path, backing.env()) as opened:
        yield opened

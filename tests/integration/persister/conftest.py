"""A database and persisters of the test's own; none outlives its test."""

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.local.backing import RunningBacking
from persister.growing_topics import GrowingTopics
from runtime.kafka_topics import ensure_topics
from runtime.settings import KafkaSettings
from schemas import topics
from tests.integration.backing import open_admin
from tests.integration.persister.processes import History, Persister, open_history

GENERATIONS = count(100 + uuid4().int % 800)
"""Other processes that test begin elsewhere: a broker that was given is theirs, too, and keeps its topics."""


@pytest.fixture(scope="module", autouse=True)
def topics_of_its_own() -> Iterator[None]:
    """Let a file have a generation of its own: a new database gets all that the log says, again and again."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("KAFKA_GENERATION", str(next(GENERATIONS)))
        yield


@pytest.fixture(autouse=True)
async def topics_exist(backing: RunningBacking) -> None:
    """Tests write to the log before any service runs, and none would make the topics of this generation."""
    settings = KafkaSettings()
    async with open_admin(settings.kafka_bootstrap_servers) as admin:
        growing = GrowingTopics(settings, admin, None)
        for name in topics.OF_GENERATIONS:
            if not await growing.exists(settings.topic(name)):
                config = topics.ALL[name].config
                await growing.create(settings.topic(name), settings.kafka_partitions, config)
    await ensure_topics(settings, topics.ALL)


@pytest.fixture
def database() -> str:
    """The name of a database and of a consumer group that no other test has."""
    return f"test_{uuid4().hex[:12]}"


@pytest.fixture
def new_persister(
    backing: RunningBacking, database: str, tmp_path: Path
) -> Iterator[Callable[..., Persister]]:
    """Makes persisters that share this test's database and group, not started."""
    made: list[Persister] = []

    def make(**settings: str) -> Persister:
        made.append(Persister(tmp_path, database, **settings))
        return made[-1]

    yield make
    for persister in made:
        persister.process.kill()


@pytest.fixture
async def history(backing: RunningBacking, database: str) -> AsyncIterator[History]:
    """This test's database."""
    async with open_history(database) as opened:
        yield opened

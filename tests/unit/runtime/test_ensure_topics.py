"""Topics are made where they are missing, and their number of partitions is never taken as it comes."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    InvalidReplicationFactorError,
    KafkaConnectionError,
    NodeNotReadyError,
    RequestTimedOutError,
)

from runtime import kafka
from runtime.health import waits
from runtime.kafka import ensure_topics
from runtime.service import Fatal
from runtime.settings import KafkaSettings
from schemas import topics

SETTINGS = KafkaSettings(kafka_partitions=12)


class Admin:
    """A cluster of some topics, which may refuse to create others."""

    def __init__(self, partitions: dict[str, int], refusal: int = 0) -> None:
        self.partitions = partitions
        self.away: list[Exception] = []
        self._refusal = refusal

    async def start(self) -> None:
        """It is there."""

    async def close(self) -> None:
        """As above."""

    async def list_topics(self) -> list[str]:
        if self.away:
            raise self.away.pop()
        return list(self.partitions)

    async def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        return [{"partitions": [None] * self.partitions[name]} for name in names]

    async def create_topics(self, new: list[Any]) -> Any:
        if not self._refusal:
            self.partitions |= {topic.name: topic.num_partitions for topic in new}
        return SimpleNamespace(topic_errors=[(topic.name, self._refusal, None) for topic in new])


def use(monkeypatch: pytest.MonkeyPatch, admin: Admin) -> None:
    monkeypatch.setattr(kafka, "AIOKafkaAdminClient", lambda **_: admin)


async def test_what_is_missing_is_made_with_the_deployment_s_number_of_partitions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    admin = Admin({})
    use(monkeypatch, admin)
    await ensure_topics(SETTINGS, topics.ALL)
    assert admin.partitions == {name: 1 if topic.single else 12 for name, topic in topics.ALL.items()}


@pytest.mark.parametrize("name", topics.ALL)
async def test_the_topics_of_a_later_generation_are_never_made_here(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SETTINGS.model_copy(update={"kafka_generation": 2})
    admin = Admin({})
    use(monkeypatch, admin)
    if name in topics.OF_GENERATIONS:
        with pytest.raises(Fatal, match=f"topic {name}.2 is missing: only `python -m persister.grow`"):
            await ensure_topics(settings, [name])
        assert admin.partitions == {}
        admin.partitions[f"{name}.2"] = 12
    await ensure_topics(settings, [name])
    assert len(admin.partitions) == 1


async def test_a_broker_that_dies_meanwhile_is_outlived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "RETRY_AFTER_S", 0.0)
    admin = Admin({})
    admin.away = [NodeNotReadyError(), RequestTimedOutError(), ConnectionResetError()]
    use(monkeypatch, admin)
    await ensure_topics(SETTINGS, [topics.MESSAGES])
    assert admin.partitions == {topics.MESSAGES: 12}


@pytest.mark.parametrize("name", [name for name, topic in topics.ALL.items() if not topic.single])
@pytest.mark.parametrize("partitions", [11, 13])
async def test_another_number_of_partitions_is_refused_but_more_where_nothing_has_an_order(
    name: str, partitions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Admin({name: partitions}))
    if name == topics.DEAD_LETTERS and partitions > 12:
        await ensure_topics(SETTINGS, [name])
    else:
        with pytest.raises(Fatal, match=f"{name} has {partitions} partitions, not 12"):
            await ensure_topics(SETTINGS, [name])


async def test_what_kafka_refuses_to_make_is_asked_for_and_told_once_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(monkeypatch, Admin({}, InvalidReplicationFactorError.errno))
    pauses: list[float] = []
    said: list[str | None] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        said.append(waits())
        if len(pauses) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await ensure_topics(SETTINGS, [topics.MESSAGES])
    assert pauses == [kafka.RETRY_AFTER_S] * 3
    assert said == ["topic chat.messages: it cannot be created: InvalidReplicationFactorError"] * 3
    assert waits() is None


async def test_readiness_says_that_kafka_is_waited_for_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away(Admin):
        async def start(self) -> None:
            said.append(waits())
            if len(said) < 3:
                raise KafkaConnectionError("of 10.0.0.1, which is nobody's business")

    said: list[str | None] = []
    monkeypatch.setattr(kafka, "RETRY_AFTER_S", 0.0)
    use(monkeypatch, Away({}))
    await ensure_topics(SETTINGS, [topics.MESSAGES])
    assert said == ["Kafka: not there yet", *["Kafka: KafkaConnectionError"] * 2]
    assert waits() is None

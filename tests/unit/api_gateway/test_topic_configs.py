"""A topic that is changed while gateways run is seen, told of and counted, until it is changed back."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError

from api_gateway import topic_configs
from runtime import metrics
from runtime.settings import KafkaSettings
from schemas import topics
from tests.waiting import eventually, in_background


class Admin:
    """A cluster of all topics, some of which have other values than services give them."""

    def __init__(self) -> None:
        self.changed: dict[str, dict[str, str]] = {}
        self.away: list[Exception] = []
        self.refusal = 0
        self.replicas = dict.fromkeys(topics.ALL, 1)
        self.open = self.looks = 0

    async def start(self) -> None:
        self.open += 1
        if self.away:
            raise self.away.pop()

    async def close(self) -> None:
        self.open -= 1
        self.looks += 1

    async def describe_configs(self, asked: list[Any]) -> list[Any]:
        (name,) = (one.name for one in asked)
        config = {**topics.ALL[topics.of_any_generation(name)].config, **self.changed.get(name, {})}
        return [SimpleNamespace(resources=[(self.refusal, None, 2, name, list(config.items()))])]

    async def describe_topics(self, names: list[str]) -> list[Any]:
        fewest = [self.replicas[topics.of_any_generation(name)] for name in names]
        return [{"partitions": [{"replicas": range(n + more)} for more in (1, 0)]} for n in fewest]


def not_durable() -> set[str]:
    (metric,) = metrics.TOPIC_NOT_DURABLE.collect()
    return {sample.labels["topic"] for sample in metric.samples if sample.value}


def misconfigured() -> dict[str, float]:
    (metric,) = metrics.TOPIC_MISCONFIGURED.collect()
    return {sample.labels["topic"]: sample.value for sample in metric.samples if sample.value}


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> Admin:
    admin = Admin()
    monkeypatch.setattr(topic_configs, "new_admin", lambda _: admin)
    monkeypatch.setattr(topic_configs, "LOOK_EVERY_S", 0.0)
    return admin


async def looked(admin: Admin, times: int = 2) -> None:
    """Wait until it has been looked at all topics, wholly since now."""
    end = admin.looks + times
    await eventually("it has looked", lambda: admin.looks >= end)


@pytest.mark.parametrize("generation", [1, 3])
async def test_a_topic_is_misconfigured_from_the_change_until_it_is_changed_back(
    generation: int, admin: Admin, caplog: pytest.LogCaptureFixture
) -> None:
    settings = KafkaSettings(kafka_generation=generation)
    groups = settings.topic(topics.GROUPS)
    async with in_background(topic_configs.watch_topic_configs(settings)):
        await looked(admin)
        assert misconfigured() == {}
        assert not caplog.records
        admin.changed = {groups: {"cleanup.policy": "delete"}, topics.EDGE_STATUS: {"retention.ms": "1"}}
        await looked(admin)
        assert misconfigured() == {topics.GROUPS: 1.0}
        facts = str([vars(record) for record in caplog.records])
        assert f"'{groups}'" in facts
        assert "cleanup.policy=delete, not compact" in facts
        admin.changed = {}
        await looked(admin)
        assert misconfigured() == {}
    assert admin.open == 0


async def test_it_looks_again_where_kafka_is_away_and_says_nothing_of_what_it_may_not_read(
    admin: Admin,
) -> None:
    admin.away = [KafkaConnectionError(), ConnectionResetError()]
    async with in_background(topic_configs.watch_topic_configs(KafkaSettings())) as watching:
        await looked(admin, 3)
        admin.changed = {topics.USERS: {"message.timestamp.type": "CreateTime"}}
        await looked(admin)
        assert misconfigured() == {topics.USERS: 1.0}
        admin.refusal = TopicAuthorizationFailedError.errno
        admin.changed = {}
        await looked(admin)
        assert misconfigured() == {topics.USERS: 1.0}
        admin.refusal = 0
        await looked(admin)
        assert misconfigured() == {}
        assert not watching.done()


async def test_a_topic_is_not_durable_while_it_has_fewer_replicas_or_weaker_acks_than_are_wanted(
    admin: Admin, caplog: pytest.LogCaptureFixture
) -> None:
    admin.replicas = dict.fromkeys(topics.ALL, 3)
    async with in_background(
        topic_configs.watch_topic_configs(KafkaSettings(kafka_replication_factor=3, kafka_generation=2))
    ):
        await looked(admin)
        assert not_durable() == set()
        assert not caplog.records
        admin.replicas[topics.GROUPS] = 2
        admin.changed = {"chat.messages.2": {"min.insync.replicas": "1"}}
        await looked(admin)
        assert not_durable() == {topics.GROUPS, topics.MESSAGES}
        assert misconfigured() == {}
        facts = str([vars(record) for record in caplog.records])
        assert "2 replicas, not 3" in facts
        assert "min.insync.replicas=1, not 2 or more" in facts
        admin.replicas[topics.GROUPS] = 3
        admin.changed = {}
        await looked(admin)
        assert not_durable() == set()

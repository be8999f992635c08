"""Topics are made where they are missing, and their number of partitions is never taken as it comes."""

import asyncio
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    InvalidReplicationFactorError,
    KafkaConnectionError,
    NodeNotReadyError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
)
from aiokafka.structs import TopicPartition

from runtime import kafka, kafka_topics
from runtime.health import waits
from runtime.kafka_topics import ensure_topics
from runtime.service import Fatal
from runtime.settings import KafkaSettings
from schemas import topics

SETTINGS = KafkaSettings(kafka_partitions=12)


class Admin:
    """A cluster of some topics, which may refuse to create others."""

    def __init__(self, partitions: dict[str, int], refusal: int = 0) -> None:
        self.partitions = partitions
        self.made: list[Any] = []
        self.started = self.closed = 0
        self.away: list[Exception] = []
        self.config: dict[str, str] = {}
        """What is configured otherwise than services would."""
        self.config_refused = 0
        self.replicas = 1
        self._refusal = refusal
        brokers = [SimpleNamespace(host="10.0.0.1", port=9092)]
        self._client = SimpleNamespace(cluster=SimpleNamespace(brokers=lambda: brokers))

    async def start(self) -> None:
        self.started += 1

    async def close(self) -> None:
        self.closed += 1

    async def list_topics(self) -> list[str]:
        if self.away:
            raise self.away.pop()
        return list(self.partitions)

    async def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        replicas = range(self.replicas)
        return [{"partitions": [{"replicas": [*replicas]}] * self.partitions[name]} for name in names]

    async def describe_configs(self, asked: list[Any]) -> list[Any]:
        config = {**topics.ALL[topics.of_any_generation(asked[0].name)].config, **self.config}
        entries: list[Any] = [(name, value, False, 1, False, []) for name, value in config.items()]
        return [SimpleNamespace(resources=[(self.config_refused, None, 2, asked[0].name, entries)])]

    async def create_topics(self, new: list[Any]) -> Any:
        if not self._refusal:
            self.made += new
            self.partitions |= {topic.name: topic.num_partitions for topic in new}
        return SimpleNamespace(topic_errors=[(topic.name, self._refusal, None) for topic in new])


def use(monkeypatch: pytest.MonkeyPatch, admin: Admin) -> None:
    monkeypatch.setattr(kafka_topics, "new_admin", lambda _: admin)


def try_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (kafka, kafka_topics):
        monkeypatch.setattr(module, "RETRY_AFTER_S", 0.0)


@pytest.mark.parametrize(("replicas", "in_sync"), [(1, {}), (2, {}), (3, {"min.insync.replicas": "2"})])
async def test_what_is_missing_is_made_as_the_deployment_and_its_readers_need_it(
    replicas: int, in_sync: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = Admin({})
    use(monkeypatch, admin)
    await ensure_topics(SETTINGS.model_copy(update={"kafka_replication_factor": replicas}), topics.ALL)
    assert admin.partitions == {name: 1 if topic.single else 12 for name, topic in topics.ALL.items()}
    assert {new.replication_factor for new in admin.made} == {replicas}
    assert {new.name: new.topic_configs for new in admin.made} == {
        name: {**topic.config, **in_sync} for name, topic in topics.ALL.items()
    }


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
    try_again_at_once(monkeypatch)
    admin = Admin({})
    admin.away = [NodeNotReadyError(), RequestTimedOutError(), ConnectionResetError()]
    use(monkeypatch, admin)
    await ensure_topics(SETTINGS, [topics.MESSAGES])
    assert admin.partitions == {topics.MESSAGES: 12}
    assert admin.started == admin.closed == 4


@pytest.mark.parametrize("name", [name for name, topic in topics.ALL.items() if not topic.single])
@pytest.mark.parametrize("partitions", [11, 13])
async def test_another_number_of_partitions_is_refused_but_more_where_nothing_has_an_order(
    name: str, partitions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Admin({name: partitions}))
    if topics.ALL[name].grows and partitions > 12:
        await ensure_topics(SETTINGS, [name])
    else:
        with pytest.raises(Fatal, match=f"{name} has {partitions} partitions, not 12"):
            await ensure_topics(SETTINGS, [name])


@pytest.mark.parametrize(
    ("found", "ends", "starts"), [(14, (0, 0), True), (14, (0, 3), False), (13, (7,), False), (11, (), False)]
)
async def test_partitions_that_were_added_are_ignored_where_an_operator_says_so_and_they_are_empty(
    found: int, ends: tuple[int, ...], starts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Consumer:
        async def end_offsets(self, asked: list[TopicPartition]) -> dict[TopicPartition, int]:
            assert asked == [TopicPartition("chat.messages", n) for n in range(12, found)]
            return dict(zip(asked, ends, strict=True))

    use(monkeypatch, Admin({topics.MESSAGES: found}))
    monkeypatch.setattr(kafka_topics, "started_consumer", lambda _: nullcontext(Consumer()))
    told = SETTINGS.model_copy(update={"kafka_ignore_added_partitions": True})
    for settings, refuses in ((told, not starts), (SETTINGS, True)):
        with pytest.raises(Fatal, match=f"{found} partitions, not 12") if refuses else nullcontext():
            await ensure_topics(settings, [topics.MESSAGES])


async def test_brokers_that_are_told_of_and_not_reached_are_waited_for_and_named_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where listeners are advertised wrongly, a broker answers once, and names addresses that nobody has."""

    class Misled(Admin):
        async def list_topics(self) -> list[str]:
            said.append(waits())
            return await super().list_topics()

    said: list[str | None] = []
    try_again_at_once(monkeypatch)
    admin = Misled({topics.MESSAGES: 12})
    admin.away = [NodeNotReadyError()]
    use(monkeypatch, admin)
    await ensure_topics(SETTINGS, [topics.MESSAGES])
    assert said == [None, "Kafka: NodeNotReadyError"]
    assert "10.0.0.1:9092" in str([vars(record) for record in caplog.records])
    assert waits() is None


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
    try_again_at_once(monkeypatch)
    use(monkeypatch, Away({}))
    await ensure_topics(SETTINGS, [topics.MESSAGES])
    assert said == ["Kafka: not there yet", *["Kafka: KafkaConnectionError"] * 2]
    assert waits() is None


@pytest.mark.parametrize(
    ("name", "otherwise", "fault"),
    [
        (topics.MEMBERSHIPS, {"cleanup.policy": "delete"}, "cleanup.policy=delete, not compact"),
        (topics.MESSAGES, {"cleanup.policy": "compact"}, "cleanup.policy=compact, not delete"),
        (topics.USERS, {"cleanup.policy": "compact,delete"}, "cleanup.policy=compact,delete, not compact"),
        (topics.MESSAGES, {"message.timestamp.type": "CreateTime"}, "CreateTime, not LogAppendTime"),
        (topics.MESSAGES, {"max.message.bytes": "262144"}, "max.message.bytes=262144, not 1000000 or more"),
    ],
)
async def test_a_topic_that_is_kept_otherwise_than_its_readers_need_is_refused(
    name: str, otherwise: dict[str, str], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = Admin({name: 12})
    admin.config = otherwise
    use(monkeypatch, admin)
    with pytest.raises(Fatal, match=f"topic {name} has .*{fault}"):
        await ensure_topics(SETTINGS, [name])


@pytest.mark.parametrize(
    "otherwise",
    [{"retention.ms": "1209600000"}, {"segment.ms": "77"}, {"compression.type": "zstd"}],
    ids=lambda one: next(iter(one)),
)
async def test_how_long_and_in_what_pieces_a_topic_is_kept_is_the_operators_choice(
    otherwise: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = Admin(dict.fromkeys(topics.OF_GENERATIONS, 12))
    admin.config = otherwise
    use(monkeypatch, admin)
    await ensure_topics(SETTINGS, topics.OF_GENERATIONS)


@pytest.mark.parametrize("limit", ["0", "1000012", "1048588"])
async def test_a_topic_that_was_sealed_for_a_growth_is_named(
    limit: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    admin = Admin({topics.MESSAGES: 12})
    admin.config = {"max.message.bytes": limit}
    use(monkeypatch, admin)
    await ensure_topics(SETTINGS, [topics.MESSAGES])
    said = [record.getMessage() for record in caplog.records]
    assert said == ["a topic is sealed, nobody can write to it"] * (limit == "0")


@pytest.mark.parametrize(
    ("replicas", "in_sync", "wanted", "risk"),
    [
        (3, "1", 3, "min.insync.replicas=1, not 2"),
        (1, "1", 3, "1 replicas, not 3"),
        (3, "2", 3, ""),
        (1, "1", 1, ""),
    ],
)
async def test_a_topic_that_is_less_safe_than_is_wanted_is_told_of_and_used(
    replicas: int,
    in_sync: str,
    wanted: int,
    risk: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    admin = Admin({topics.MESSAGES: 12})
    admin.replicas, admin.config = replicas, {"min.insync.replicas": in_sync}
    use(monkeypatch, admin)
    settings = SETTINGS.model_copy(update={"kafka_replication_factor": wanted})
    await ensure_topics(settings, [topics.MESSAGES])
    said = [record.getMessage() for record in caplog.records]
    assert said == ["a topic may lose acked records with one broker"] * bool(risk)
    assert risk in str([vars(record) for record in caplog.records])


async def test_who_may_not_read_how_a_topic_is_kept_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    admin = Admin({topics.MESSAGES: 12})
    admin.config = {"cleanup.policy": "compact"}
    admin.config_refused = TopicAuthorizationFailedError.errno
    use(monkeypatch, admin)
    await ensure_topics(SETTINGS, [topics.MESSAGES])

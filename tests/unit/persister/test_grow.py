"""Growing puts everything new behind everything old, or leaves all as it was."""

import asyncio
import contextlib
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from persister import grow, growing_topics, progress
from persister.batch import Ends
from persister.grow import CannotGrow, Growth, RollbackFailed, beginning_of, next_generation
from persister.growing_topics import Config, GrowingTopics, wait_until
from persister.settings import PersisterSettings
from runtime.kafka import partition_of
from schemas import documents, topics

OLD = PersisterSettings(kafka_partitions=3)
names = st.sampled_from(sorted(topics.ALL))


class Lost(RuntimeError):
    """Kafka is gone, just now."""


class FakeKafka:
    """Topics and their configuration; the ``fails_at``th change fails, then all that would undo ``keeps``."""

    def __init__(self, fails_at: int | None = None, keeps: frozenset[str] = frozenset()) -> None:
        self.configs: dict[str, Config] = {
            OLD.topic(name): {**topics.ALL[name].config, "retention.ms": "77"}
            for name in topics.OF_GENERATIONS
        }
        self.made: dict[str, int] = {}
        """How many partitions a topic was created with or got."""
        self.changes = 0
        self._fails_at = fails_at
        self._keeps = keeps

    def _change(self, topic: str) -> None:
        self.changes += 1
        failed = self._fails_at is not None and self.changes > self._fails_at
        if self.changes == self._fails_at or (failed and topic in self._keeps):
            raise Lost

    async def exists(self, topic: str) -> bool:
        return topic in self.configs

    async def config(self, topic: str) -> Config:
        return self.configs[topic]

    async def configure(self, topic: str, config: Config) -> None:
        self._change(topic)
        assert topic in self.configs
        self.configs[topic] = config

    async def ends(self, topic: str, partitions: int) -> Ends:
        return {TopicPartition(topic, n): 10 * n for n in range(partitions)}

    async def create(self, topic: str, partitions: int, config: Config) -> None:
        self._change(topic)
        self.configs[topic] = config
        self.made[topic] = partitions

    async def delete(self, topic: str) -> None:
        self._change(topic)
        del self.configs[topic]

    async def begin_at(self, topic: str, partitions: int, offset: int) -> Ends:
        self._change(topic)
        return {TopicPartition(topic, n): offset for n in range(partitions)}

    async def add_partitions(self, topic: str, partitions: int) -> None:
        self._change(topic)
        self.made[topic] = partitions

    async def state(self, tp: TopicPartition) -> list[Any]:
        return [tp] * 2


class FakeStore:
    """Progress, and nothing else."""

    def __init__(self, stored: Ends) -> None:
        self.next = {documents.progress_key(tp.topic, tp.partition): end for tp, end in stored.items()}

    async def find(self, _collection: str, _query: Any) -> list[dict[str, Any]]:
        return [{"_id": key, "next": end} for key, end in self.next.items()]

    async def upsert(self, _collection: str, updates: list[tuple[str, Any]], known: Any = None) -> bool:
        assert not known
        for key, update in updates:
            [(how, fields)] = update.items()
            assert how in {"$max", "$set"}
            before = self.next.get(key, 0) if how == "$max" else 0
            self.next[key] = max(before, fields["next"])
        return True


@pytest.fixture(autouse=True)
def _without_a_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: Any) -> None:
        pass

    monkeypatch.setattr(grow, "ensure_topics", nothing)
    monkeypatch.setattr(grow, "write_all", nothing)


async def test_what_is_copied_is_in_memory_a_partition_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[tuple[str, list[TopicPartition]]] = []

    async def write_all(_settings: Any, topic: str, records: list[TopicPartition]) -> None:
        copied.append((topic, records))

    monkeypatch.setattr(grow, "write_all", write_all)
    growing, _ = await growth(FakeKafka())
    await growing.run()
    assert copied == [
        (growing.new.topic(name), [TopicPartition(name, n)] * 2)
        for name in (topics.GROUPS, topics.MEMBERSHIPS, topics.USERS)
        for n in range(OLD.kafka_partitions)
    ]


async def all_ends(kafka: FakeKafka) -> Ends:
    return {
        tp: end
        for name in topics.OF_GENERATIONS
        for tp, end in (await kafka.ends(name, OLD.kafka_partitions)).items()
    }


async def growth(kafka: FakeKafka, *, stored: bool = True) -> tuple[Growth, FakeStore]:
    store = FakeStore(await all_ends(kafka) if stored else {})
    return Growth(OLD, next_generation(OLD, 5), cast(GrowingTopics, kafka), cast(Any, store)), store


@given(st.binary(max_size=40), st.lists(st.integers(0, 2**40), min_size=3, max_size=3), st.integers(4, 64))
def test_a_group_s_next_seq_is_above_all_it_had_wherever_it_stands(
    group: bytes, ends: list[int], partitions: int
) -> None:
    old = {TopicPartition(topics.MESSAGES, n): end for n, end in enumerate(ends)}
    newest = old[TopicPartition(topics.MESSAGES, partition_of(group, 3))] - 1
    new = next_generation(OLD, partitions)
    assert partition_of(group, new.kafka_partitions) < partitions
    assert beginning_of(topics.MESSAGES, OLD, old) > newest


@given(names, st.integers(1, 1000))
def test_a_topic_is_known_by_its_name_in_any_generation(name: str, generation: int) -> None:
    assert topics.of_any_generation(topics.in_generation(name, generation)) == name
    assert (topics.in_generation(name, generation) == name) == (
        generation == 1 or name not in topics.OF_GENERATIONS
    )


async def test_the_new_topics_are_configured_as_the_old_ones_which_take_nothing_any_more() -> None:
    kafka = FakeKafka()
    before = dict(kafka.configs)
    growing, store = await growth(kafka)
    await growing.run()
    for name in topics.OF_GENERATIONS:
        assert kafka.configs[growing.new.topic(name)] == before[name]
        assert kafka.configs[name] == {**before[name], **topics.SEAL}
        for partition in range(5):
            assert store.next[documents.progress_key(growing.new.topic(name), partition)] == 20
    with_dead_letters = [*topics.OF_GENERATIONS, topics.DEAD_LETTERS]
    assert kafka.made == {growing.new.topic(name): 5 for name in with_dead_letters}


async def test_what_a_growth_that_was_given_up_had_reached_means_nothing_to_the_next_one() -> None:
    growing, store = await growth(FakeKafka())
    key = documents.progress_key(growing.new.topic(topics.MEMBERSHIPS), 4)
    store.next[key] = 1_000
    await growing.run()
    assert store.next[key] == 20


async def test_no_signal_is_heard_while_a_growth_is_taken_back_and_what_still_cut_a_step_off_is_left() -> (
    None
):
    kafka = FakeKafka()
    growing, _ = await growth(kafka)
    heard_until: list[int] = []
    growing.on_rollback = lambda: heard_until.append(kafka.changes)
    await growing.run()
    assert heard_until == []

    class Ended(FakeKafka):
        async def configure(self, topic: str, config: Config) -> None:
            if heard_until and not left_out:
                left_out.append(topic)
                raise asyncio.CancelledError
            await super().configure(topic, config)

    kafka, left_out = Ended(fails_at=6), list[str]()
    growing, _ = await growth(kafka)
    growing.on_rollback = lambda: heard_until.append(kafka.changes)
    with pytest.raises(RollbackFailed, match=f"unseal {OLD.topic(topics.OF_GENERATIONS[0])}"):
        await growing.run()
    assert heard_until == [6], "before anything is taken back"
    assert left_out == [OLD.topic(topics.OF_GENERATIONS[0])]
    sealed = [name for name in topics.OF_GENERATIONS if topics.SEAL.items() <= kafka.configs[name].items()]
    assert sealed == left_out, "the others are unsealed all the same"


async def test_whatever_fails_the_old_topics_are_as_they_were_and_there_are_no_new_ones() -> None:
    whole = FakeKafka()
    await (await growth(whole))[0].run()
    for fails_at in range(1, whole.changes + 1):
        kafka = FakeKafka(fails_at)
        before = dict(kafka.configs)
        with contextlib.suppress(Lost):
            await (await growth(kafka))[0].run()
        assert kafka.configs == before


EVERY_TOPIC = [
    settings.topic(name) for settings in (OLD, next_generation(OLD, 5)) for name in topics.OF_GENERATIONS
]


@pytest.mark.parametrize("keeps", [*({topic} for topic in EVERY_TOPIC), EVERY_TOPIC])
async def test_what_cannot_be_taken_back_is_named_and_all_else_is_taken_back(keeps: Iterable[str]) -> None:
    whole = FakeKafka()
    await (await growth(whole))[0].run()
    for fails_at in range(1, whole.changes + 1):
        kafka = FakeKafka(fails_at, frozenset(keeps))
        before = dict(kafka.configs)
        with contextlib.suppress(Lost):
            try:
                await (await growth(kafka))[0].run()
            except RollbackFailed as error:
                left = {line for line in str(error).splitlines() if line.startswith("  ")}
                assert {line.split()[1] for line in left} >= {
                    topic for topic in EVERY_TOPIC if kafka.configs.get(topic) != before.get(topic)
                }
                assert {(line.split()[0], line.split()[1]) for line in left} <= {
                    ("unseal" if topic in before else "delete", topic) for topic in keeps
                }
                continue
        assert kafka.configs == before


class Admin:
    """A cluster that lets nobody delete its one topic."""

    async def list_topics(self) -> list[str]:
        return ["one"]

    async def delete_topics(self, names: list[str]) -> SimpleNamespace:
        return SimpleNamespace(
            topic_error_codes=[(name, TopicAuthorizationFailedError.errno) for name in names]
        )


async def test_a_deletion_that_is_refused_is_an_error_and_not_waited_for() -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await GrowingTopics(OLD, Admin(), cast(Any, None)).delete("one")


async def test_what_kafka_has_promised_is_waited_for_no_longer_than_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def holds() -> bool:
        return False

    monkeypatch.setattr(growing_topics, "DONE_WITHIN_S", 0.01)
    with pytest.raises(TimeoutError, match=r"^it is not gone yet, after 0\.01 s$"):
        await wait_until(holds, "it is not gone yet")


async def test_what_is_not_stored_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "POLL_S", 0.0)
    ends = {TopicPartition("t", 0): 5}
    store = cast(Any, FakeStore({}))
    waiting = asyncio.create_task(progress.wait_until_stored(store, ends))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    await progress.write_progress(store, ends, {})
    await waiting


async def test_what_is_not_stored_in_time_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kafka = FakeKafka()
    before = dict(kafka.configs)
    growing, _ = await growth(kafka, stored=False)
    monkeypatch.setattr(progress, "STORED_WITHIN_S", 0.0)
    with pytest.raises(TimeoutError, match="120 records are not stored"):
        await growing.run()
    assert kafka.configs == before


async def test_a_log_that_grew_before_is_not_made_again() -> None:
    kafka = FakeKafka()
    growing, _ = await growth(kafka)
    kafka.configs[growing.new.topic(topics.USERS)] = {}
    with pytest.raises(CannotGrow, match=r"chat\.users\.2 is there already.*was that killed.*Giving it up"):
        await growing.run()
    assert topics.USERS + ".2" in kafka.configs


@pytest.mark.parametrize(("partitions", "durable"), [(3, True), (2, True), (4, False), (4097, True)])
def test_fewer_partitions_too_many_or_a_log_in_memory_are_no_growth(partitions: int, durable: bool) -> None:
    with pytest.raises(CannotGrow):
        next_generation(OLD.model_copy(update={"kafka_durable": durable}), partitions)


@pytest.mark.parametrize(
    ("partitions", "uri", "why"),
    [
        (2, "mongodb://store", "there are 3 partitions: 2 are not more"),
        (
            4,
            "mongodb://",
            (
                "MONGODB_URI is not valid: are special characters of its user and password percent-encoded "
                "(%40 for @), and addresses of IPv6 in brackets?"
            ),
        ),
    ],
)
async def test_what_is_wrong_before_kafka_is_asked_is_said_in_a_line(
    partitions: int, uri: str, why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr(grow, "growing_topics")
    settings = OLD.model_copy(update={"mongodb_uri": SecretStr(uri)})
    assert await grow._main(partitions, settings) == 1
    assert capsys.readouterr().err == f"not grown: {why}\n"

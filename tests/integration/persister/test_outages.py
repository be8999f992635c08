"""The store goes and comes back, the group misbehaves, the log is another: nothing is lost in silence."""

from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete

from deploy.local.backing import RunningBacking
from persister import app, pipeline
from persister.progress import write_progress
from persister.settings import PersisterSettings
from runtime import metrics
from runtime.service import Service, running
from runtime.settings import KafkaSettings
from schemas import documents, topics
from tests.counting import counting
from tests.integration.backing import Log, away, new_group, open_admin
from tests.integration.persister.messages import holds, say_many
from tests.integration.persister.processes import (
    History,
    Persister,
    all_is_committed,
    group_commits,
    partition_with,
)
from tests.waiting import eventually

NewPersister = Callable[..., Persister]

pytestmark = pytest.mark.backing


async def becomes_not_ready(persister: Persister) -> bool:
    status, text = await persister.get("/readyz")
    return status == 503 and "the store is away; what is read waits: " in text


async def has_tried_again(persister: Persister) -> bool:
    return await persister.metric("chat_persister_store_retries_total") >= 2


@pytest.mark.slow
async def test_a_store_that_comes_back_gets_what_it_missed(
    log: Log, history: History, new_persister: NewPersister, backing: RunningBacking
) -> None:
    groups = [new_group() for _ in range(3)]
    # The batches are small, so that the log has much more than a persister may hold in memory.
    persister = new_persister(FLUSH_AFTER_RECORDS="20")
    await persister.start()
    said = await say_many(log, groups, 20)
    await eventually("it stores", lambda: holds(history, said))

    async def has_waited_longer_than_a_session() -> bool:
        return await persister.metric("chat_persister_unstored_age_seconds") > 7

    async with away(backing.store, "killed"):
        for _ in range(5):
            more = await say_many(log, groups, 50)
            for group in groups:
                said[group].update(more[group])
        await eventually("readiness tells", lambda: becomes_not_ready(persister))
        assert (await persister.get("/healthz"))[0] == 200
        await eventually("the store is away for longer than a session", has_waited_longer_than_a_session)
        await eventually("it tries again and again", lambda: has_tried_again(persister))
    await eventually("the store has all", lambda: holds(history, said))
    await eventually("readiness tells", persister.is_ready)
    assert await persister.metric("chat_reader_rebuilds_total") == 0
    assert "partitions were assigned" in persister.log()
    assert persister.log().count("partitions were assigned") == 1


@pytest.mark.slow
async def test_a_store_that_hangs_and_goes_on_ends_with_the_last_word_of_each_key(
    log: Log, history: History, new_persister: NewPersister, backing: RunningBacking
) -> None:
    group = new_group()
    members = [f"up{n:09d}" for n in range(30)]
    persister = new_persister(FLUSH_AFTER_RECORDS="10")
    await persister.start()
    await eventually("it is ready", persister.is_ready)
    async with away(backing.store, "frozen"):
        await log.join(group, *members)
        for up in members[::2]:
            await log.leave(group, up)
        said = await say_many(log, [group], 100)
        await eventually("readiness tells", lambda: becomes_not_ready(persister))
    await eventually("the store has all", lambda: holds(history, said))

    async def members_are_right() -> bool:
        found = await history.store.find("memberships", {"group": group})
        return sorted(member["up"] for member in found) == members[1::2]

    await eventually("the members are right", members_are_right)


async def test_a_persister_starts_without_a_store_and_stops_cleanly_without_it(
    log: Log, new_persister: NewPersister, backing: RunningBacking
) -> None:
    persister = new_persister()

    async def says_what_it_waits_for() -> bool:
        return "the store is away" in (await persister.get("/readyz"))[1]

    async def shows_for_how_long() -> bool:
        return await persister.metric("chat_persister_unstored_age_seconds") > 0

    async with away(backing.store, "stopped"):
        await persister.start()
        await eventually("readiness tells", says_what_it_waits_for)
        await eventually("readiness tells what the store answers", lambda: becomes_not_ready(persister))
        await eventually("whoever is woken by a metric is told, too", shows_for_how_long)
        assert await persister.stop() == 0, persister.log()


@pytest.mark.usefixtures("durable")
async def test_a_log_that_ends_before_the_commit_is_refused(
    log: Log, database: str, new_persister: NewPersister
) -> None:
    group = new_group()
    said = await say_many(log, [group], 1)
    await group_commits(database, group, max(said[group]) + 1_000)
    persister = new_persister()
    await persister.start()

    async def ended() -> bool:
        return not persister.process.alive

    await eventually("it ends", ended)
    assert persister.process.returncode == 1
    assert "it is another log" in (persister.folder / "logs" / "error.log").read_text()


@pytest.mark.usefixtures("durable")
async def test_a_group_that_has_no_commits_any_more_goes_on_where_the_store_is(
    log: Log, history: History, database: str, new_persister: NewPersister
) -> None:
    groups = [new_group() for _ in range(4)]
    said = await say_many(log, groups, 3)
    first = new_persister()
    await first.start()
    await eventually("all is stored", lambda: holds(history, said))
    # What is stored and not committed is read again; other tests have written, too.
    await eventually("all is committed", lambda: all_is_committed(database))
    assert await first.stop() == 0
    # Nor has a group of another name.
    second = new_persister(PERSISTER_GROUP=f"{database}-deleted")
    await second.start()
    more = await say_many(log, groups, 1)
    all_of_it = {group: {**said[group], **more[group]} for group in groups}
    await eventually("what is new is stored", lambda: holds(history, all_of_it))
    assert await second.metric("chat_persister_already_stored_total") == 0


@pytest.mark.usefixtures("durable")
async def test_a_store_that_was_emptied_gets_everything_again(
    log: Log, history: History, database: str, new_persister: NewPersister
) -> None:
    groups = [new_group() for _ in range(4)]
    said = await say_many(log, groups, 30)
    first = new_persister()
    await first.start()
    await eventually("all is stored", lambda: holds(history, said))
    await eventually("all is committed", lambda: all_is_committed(database))
    assert await first.stop() == 0
    await history.store._database.client.drop_database(history.store._database.name)
    # Killed on its way: the next one must not believe what was committed before.
    killed = new_persister(FLUSH_AFTER_RECORDS="1")
    await killed.start()
    await eventually("it stores", lambda: some_are_stored(history))
    await killed.kill()
    await new_persister().start()
    await eventually("all is stored again", lambda: holds(history, said))


@pytest.mark.usefixtures("durable")
async def test_a_store_that_is_emptied_under_a_persister_gets_everything_again(
    log: Log, history: History, database: str, new_persister: NewPersister
) -> None:
    """As when it comes back without its disk: what is written next must not pass for all that there was."""
    groups = [new_group() for _ in range(4)]
    said = await say_many(log, groups, 30)
    await new_persister().start()
    await eventually("all is stored", lambda: holds(history, said))
    await eventually("all is committed", lambda: all_is_committed(database))
    await history.store._database.client.drop_database(history.store._database.name)
    for group, more in (await say_many(log, groups, 5)).items():
        said[group] |= more
    await eventually("all is stored again", lambda: holds(history, said))
    await eventually("all is committed", lambda: all_is_committed(database))
    await eventually("it has its indexes again", lambda: has_its_indexes(history))


async def has_its_indexes(history: History) -> bool:
    found = [await history.store._database[name].index_information() for name in documents.INDEXES]
    return [len(one) - 1 for one in found] == [len(indexes) for indexes in documents.INDEXES.values()]


async def some_are_stored(history: History) -> bool:
    """Say whether it has begun. What other tests have written comes first, and may be much."""
    return bool(await history.store.find(documents.MESSAGES, {}, limit=1))


@pytest.mark.usefixtures("durable")
async def test_records_that_the_log_dropped_before_they_were_stored_are_told_of(
    log: Log, history: History, database: str, new_persister: NewPersister
) -> None:
    group = new_group()
    said = await say_many(log, [group], 10)
    seqs = sorted(said[group])
    tp = partition_with(group)
    await group_commits(database, group, seqs[2])
    await write_progress(history.store, {tp: seqs[2]}, {})
    await drop_before(tp, seqs[6])
    persister = new_persister()
    await persister.start()
    rest = {group: {seq: said[group][seq] for seq in seqs[6:]}}
    await eventually("the rest is stored", lambda: holds(history, rest))
    assert await persister.metric("chat_persister_never_stored_total") == seqs[6] - seqs[2]
    told = (persister.folder / "logs" / "error.log").read_text()
    (line,) = [line for line in told.splitlines() if "dropped records before they were stored" in line]
    assert f'"partition": {tp.partition}, ' in line
    assert f'"first_offset": {seqs[2]}, "last_offset": {seqs[6] - 1}' in line


async def drop_before(tp: TopicPartition, offset: int) -> None:
    """Let the log drop the oldest records, as it does once they are too old."""
    async with open_admin(KafkaSettings().kafka_bootstrap_servers) as admin:
        await admin.delete_records({tp: RecordsToDelete(before_offset=offset)})


@pytest.mark.usefixtures("durable")
async def test_what_the_log_dropped_of_a_partition_that_is_empty_by_now_is_told_of_once(
    log: Log, history: History, database: str, new_persister: NewPersister
) -> None:
    group = new_group()
    seqs = sorted((await say_many(log, [group], 10))[group])
    tp, end = partition_with(group), seqs[-1] + 1
    await group_commits(database, group, seqs[2])
    await write_progress(history.store, {tp: seqs[2]}, {})
    await drop_before(tp, end)

    async def is_reached() -> bool:
        return await history.next_of(tp) >= end

    for lost in (end - seqs[2], 0):
        persister = new_persister()
        await persister.start()
        await eventually("it is ready", persister.is_ready)
        await eventually("the store knows the end", is_reached)
        assert await persister.metric("chat_persister_never_stored_total") == lost
        await eventually("all is committed", lambda: all_is_committed(database))
        assert await persister.stop() == 0


async def test_a_reader_that_stops_although_there_is_more_is_rebuilt(
    log: Log, history: History, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = True
    getmany = AIOKafkaConsumer.getmany

    async def sometimes_deaf(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal deaf
        found = await getmany(self, *args, **kwargs)
        if deaf and topics.MESSAGES in {topics.of_any_generation(tp.topic) for tp in found}:
            for tp, records in found.items():
                self.seek(tp, records[0].offset)
            return {}
        return found

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", sometimes_deaf)
    monkeypatch.setattr(pipeline, "WATCH_EVERY_S", 0.1)
    said = await say_many(log, [new_group()], 5)
    settings = PersisterSettings(mongodb_database=database, persister_group=database)
    is_rebuilt = counting(metrics.READER_REBUILDS.labels(topic=pipeline.READER_NAME))
    async with running(Service("persister", settings), lambda service: app.start(service, settings)):
        await eventually("it is rebuilt", is_rebuilt)
        deaf = False
        await eventually("all is stored", lambda: holds(history, said))

"""What operators erase is gone from history for good, and nothing else is."""

import asyncio
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import TopicPartition

from deploy.repository import REPOSITORY
from persister import erase, progress
from persister.progress import begin_progress
from persister.settings import PersisterSettings
from runtime.kafka import partition_of
from schemas import documents, topics
from schemas.ids import membership_key
from schemas.log_records import GroupCreated, PresenceChanged, ProfileChanged, encode
from tests.integration.backing import Log, new_group, new_up
from tests.integration.persister.messages import holds, say
from tests.integration.persister.processes import History, Persister
from tests.waiting import eventually

NewPersister = Callable[..., Persister]

pytestmark = pytest.mark.backing

NOW = datetime.now(UTC)


async def run(database: str, *arguments: str) -> tuple[int | None, str]:
    """Run the command as an operator does; return its exit code and what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "persister.erase", *arguments,
        env={**os.environ, "MONGODB_DATABASE": database}, cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def make(log: Log, group: str, *ups: str) -> None:
    created = GroupCreated(group=group, name="a name", created_by=None)
    await log.write(topics.GROUPS, encode(created, key=group, source="test"))
    await log.join(group, *ups)


async def test_nothing_of_a_student_is_left_and_all_of_the_others(
    log: Log, history: History, database: str, new_persister: NewPersister
) -> None:
    group, left, gone = new_group(), new_group(), new_up()
    # A number that begins alike is another student's, and a group's name may begin as another's does.
    other = gone[:-1] + str((int(gone[-1]) + 1) % 10)
    groups = (group, f"{group}.2", left)
    for group in groups:
        await make(log, group, gone, other)
    await log.leave(left, gone)
    names = ProfileChanged(up=gone, username="maria", name="Maria")
    await log.write(topics.USERS, encode(names, key=gone, source="test"))
    online = PresenceChanged(up=gone, online=True, edge="edge-1")
    await log.write(topics.USERS, encode(online, key=f"{gone}/online", source="test"))
    kept = {group: dict([await say(log, group, up=other) for _ in range(3)]) for group in groups}
    said = {group: kept[group] | dict([await say(log, group, up=gone) for _ in range(3)]) for group in groups}
    persister = new_persister()
    await persister.start()
    await eventually("all is stored", lambda: holds(history, said))

    assert await run(database, "student", gone.upper()) == (0, "messages erased: 9\n")

    assert await holds(history, kept)
    assert await history.one(documents.USERS, gone) is None
    for group in groups:
        assert await history.one(documents.MEMBERSHIPS, membership_key(group, gone)) is None
        assert await history.one(documents.MEMBERSHIPS, membership_key(group, other)) is not None
    assert await run(database, "student", gone) == (0, "messages erased: 0\n")

    offline = encode(online.model_copy(update={"online": False}), key=f"{gone}/online", source="test")
    offset = await log.write(topics.USERS, offline)
    settings = PersisterSettings(mongodb_database=database)
    partition = partition_of(offline.key, settings.kafka_partitions)
    stored = {TopicPartition(settings.topic(topics.USERS), partition): offset + 1}
    await progress.wait_until_stored(history.store, stored)
    assert await history.one(documents.USERS, gone) is None, "their edge says so when their connection ends"


async def test_a_message_and_what_is_older_than_a_day_are_erased(
    log: Log, history: History, database: str, new_persister: NewPersister, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase, "AT_ONCE", 2)
    group = new_group()
    said = dict([await say(log, group) for _ in range(3)])
    await new_persister().start()
    await eventually("all is stored", lambda: holds(history, {group: said}))
    # Nothing can be said a month ago: the log's clock stamps it.
    days_old = [(n, int((NOW - timedelta(days=n)).timestamp() * 1000)) for n in range(29, 34)]
    old = [
        {"_id": f"{group}/up1/{n}", "id": str(n), "group": group, "seq": -n, "timestamp": at}
        for n, at in days_old
    ]
    await history.store.insert_new(documents.MESSAGES, old)

    day = NOW.date() - timedelta(days=30)
    assert await erase.erase_before(history.store, day) == 3
    left = await history.messages(group)
    assert [message["seq"] for message in left] == [-30, -29, *sorted(said)]

    first = min(said)
    assert await run(database, "message", group, str(first)) == (0, "messages erased: 1\n")
    assert await run(database, "message", group, str(first)) == (0, "messages erased: 0\n")
    assert await run(database, "before", f"{day + timedelta(days=1)}") == (0, "messages erased: 1\n")
    left = await history.messages(group)
    assert [message["seq"] for message in left] == [-29, *sorted(said)[1:]]


async def test_without_a_persister_nothing_is_erased_and_that_is_said(
    log: Log, history: History, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the log says last would come back behind the erasing."""
    monkeypatch.setattr(progress, "STORED_WITHIN_S", 0.1)
    up = new_up()
    await history.store.insert_new(documents.USERS, [{"_id": up, "name": "Maria"}])
    settings = PersisterSettings(mongodb_database=database)
    with pytest.raises(TimeoutError, match="does a persister run"):
        await erase.erase_student(history.store, settings, up)
    assert await history.one(documents.USERS, up) is not None


async def test_what_was_said_and_is_not_stored_yet_is_waited_for(
    log: Log, history: History, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A persister that lags would store it behind the erasing."""
    monkeypatch.setattr(progress, "STORED_WITHIN_S", 0.1)
    settings = PersisterSettings(mongodb_database=database)
    group, up = new_group(), new_up()
    await say(log, group, up=up)
    all_but_messages = {
        TopicPartition(settings.topic(name), partition): 10**6
        for name in (topics.MEMBERSHIPS, topics.USERS)
        for partition in range(settings.kafka_partitions)
    }
    await begin_progress(history.store, all_but_messages)
    with pytest.raises(TimeoutError, match="does a persister run"):
        await erase.erase_student(history.store, settings, up)

"""What the log holds is in the store: once, in order, and whatever happens to a persister."""

import asyncio
import random
from collections.abc import Callable

import pytest

from schemas import documents, topics
from schemas.ids import membership_key
from schemas.log_records import GroupCreated, PresenceChanged, ProfileChanged, encode
from tests.integration.backing import Log, new_group, new_up
from tests.integration.persister.messages import holds, say, say_many
from tests.integration.persister.processes import History, Persister, all_is_committed, partition_with
from tests.waiting import eventually

NewPersister = Callable[..., Persister]

pytestmark = pytest.mark.backing


async def test_everything_is_stored_once_with_its_seq_and_progress_tells(
    log: Log, history: History, new_persister: NewPersister
) -> None:
    said = await say_many(log, [new_group() for _ in range(5)], 300)
    persister = new_persister()
    await persister.start()
    await eventually("all is stored", lambda: holds(history, said))
    said_live = await say_many(log, [new_group() for _ in range(5)], 40)
    await eventually("all is stored", lambda: holds(history, said_live))
    for group, expected in said_live.items():
        end = max(expected) + 1

        async def told(group: str = group, end: int = end) -> bool:
            return await history.next_of(partition_with(group)) >= end

        await eventually("progress tells", told)
    assert 0 < await persister.metric("chat_persister_batch_records_count") < 1_500


async def test_a_clients_retry_that_is_twice_in_the_log_is_stored_as_the_first(
    log: Log, history: History, new_persister: NewPersister
) -> None:
    group, up = new_group(), new_up()
    seq, message_id = await say(log, group, up=up, text="first")
    await say(log, group, message_id, up, "again, at once")
    persister = new_persister()
    await persister.start()
    await eventually("it is stored", lambda: holds(history, {group: {seq: message_id}}))
    await say(log, group, message_id, up, "again, later")
    last = await say(log, group)
    await eventually(
        "the next is stored", lambda: holds(history, {group: {seq: message_id, last[0]: last[1]}})
    )
    assert (await history.messages(group))[0]["message"] == "first"


async def test_groups_memberships_and_users_are_folded_in_log_order(
    log: Log, history: History, new_persister: NewPersister
) -> None:
    group, up, gone = new_group(), new_up(), new_up()
    for name in ("Old", "New"):
        created = GroupCreated(group=group, name=name, created_by=up)
        await log.write(topics.GROUPS, encode(created, key=group, source="test"))
    await log.join(group, up, gone)
    left_at = await log.leave(group, gone)
    said = [(True, "edge-1", "a"), (True, "edge-2", "b"), (True, "edge-2", "c")]
    said += [(False, "edge-1", "a"), (False, "edge-2", "b")]
    moved = [
        PresenceChanged(up=up, online=online, edge=edge, process=process) for online, edge, process in said
    ]
    profile = encode(ProfileChanged(up=up, username="ana", name="Ana"), key=up, source="test")
    for presence in moved:
        await log.write(topics.USERS, encode(presence, key=f"{up}/online", source="test"))
    await log.write(topics.USERS, profile)
    await new_persister().start()

    of_gone = partition_with(membership_key(group, gone), topics.MEMBERSHIPS)

    async def folded() -> bool:
        return (
            await history.one(documents.GROUPS, group) == {"_id": group, "name": "New", "createdBy": up}
            and await history.one(documents.MEMBERSHIPS, membership_key(group, up)) is not None
            and await history.next_of(of_gone) > left_at
            and await history.one(documents.USERS, up)
            == {"_id": up, "username": "ana", "name": "Ana", "online": True}
            | {documents.ONLINE_EDGE: "edge-2", documents.ONLINE_PROCESS: "c"}
        )

    await eventually("all is folded", folded)
    members = await history.store.find(documents.MEMBERSHIPS, {"group": group})
    assert [member["up"] for member in members] == [up]
    assert await history.store.find(documents.MEMBERSHIPS, {"up": gone}) == []
    await log.leave(group, up)
    await log.join(group, gone)

    async def swapped() -> bool:
        found = await history.store.find(documents.MEMBERSHIPS, {"group": group})
        return [(member["_id"], member["up"]) for member in found] == [(membership_key(group, gone), gone)]

    await eventually("the change is folded", swapped)


async def test_a_restart_goes_on_at_the_commit_and_a_stop_is_clean(
    log: Log, history: History, database: str, new_persister: NewPersister
) -> None:
    said = await say_many(log, [new_group()], 200)
    first = new_persister()
    await first.start()
    await eventually("it is ready", first.is_ready)
    await eventually("all is stored", lambda: holds(history, said))
    await eventually("all is committed", lambda: all_is_committed(database))
    assert await first.metric("chat_persister_write_seconds_count") >= 1
    assert await first.stop() == 0, first.log()
    assert "info: started {" in (first.folder / "logs" / "combined.log").read_text()
    more = await say_many(log, [new_group()], 50)
    second = new_persister()
    await second.start()
    await eventually("the rest is stored", lambda: holds(history, more))

    async def is_counted() -> bool:
        return await second.metric("chat_persister_stored_total", topic=topics.MESSAGES) >= 50

    await eventually("it is counted", is_counted)
    assert await second.metric("chat_persister_already_stored_total") == 0
    assert await holds(history, said)


async def test_kills_at_any_moment_lose_nothing_and_double_nothing(
    log: Log, history: History, new_persister: NewPersister
) -> None:
    groups = [new_group() for _ in range(3)]
    said = await say_many(log, groups, 700)
    moments = random.Random(5)
    for _ in range(2):
        persister = new_persister(FLUSH_AFTER_RECORDS="50")
        await persister.start()

        async def has_stored_some(persister: Persister = persister) -> bool:
            return await persister.metric("chat_persister_write_seconds_count") > moments.random() * 8

        await eventually("some batches are written", has_stored_some)
        await persister.kill()
    last = new_persister()
    await last.start()
    await eventually("all is stored", lambda: holds(history, said))


@pytest.mark.usefixtures("durable")
async def test_two_persisters_share_the_work_and_one_takes_over_from_the_other(
    log: Log, history: History, new_persister: NewPersister
) -> None:
    one, two = new_persister(), new_persister()
    groups = [new_group() for _ in range(24)]
    await one.start()
    await eventually("the first is ready", one.is_ready)
    await two.start()
    await eventually("the second is ready", two.is_ready)
    said = await say_many(log, groups, 20)

    async def both_write() -> bool:
        more = await say_many(log, groups, 5)
        for group in groups:
            said[group].update(more[group])
        written = [
            await persister.metric("chat_persister_stored_total", topic=topics.MESSAGES)
            for persister in (one, two)
        ]
        return min(written) > 100

    await eventually("both write", both_write)
    writing = asyncio.create_task(say_many(log, groups, 50))
    await one.kill()
    more = await writing
    for group in groups:
        said[group].update(more[group])
    await eventually("the second has stored all", lambda: holds(history, said))
    late = await say_many(log, groups, 3)
    for group in groups:
        said[group].update(late[group])
    await eventually("the second stores what comes later", lambda: holds(history, said))
    assert await two.stop() == 0

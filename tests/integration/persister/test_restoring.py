"""A database restored from an older copy becomes what it would be, as far as the log reaches."""

from collections.abc import Callable
from typing import Any

import pytest

from schemas import documents
from tests.integration.backing import Log, new_group
from tests.integration.persister.messages import holds, say_many
from tests.integration.persister.processes import History, Persister, all_is_committed, open_history
from tests.waiting import eventually

pytestmark = [pytest.mark.backing, pytest.mark.timeout(600)]

NewPersister = Callable[..., Persister]

CONTENT = (documents.MESSAGES, documents.GROUPS, documents.MEMBERSHIPS, documents.USERS)


async def content(history: History) -> dict[str, list[dict[str, Any]]]:
    """Return all that a database says to its readers."""
    return {name: await history.store.find(name, {}, sort=[("_id", 1)]) for name in CONTENT}


async def copy(source: History, target: History, collections: tuple[str, ...]) -> None:
    """Copy collections, as a backup and its restore do together."""
    for name in collections:
        found = await source.store.find(name, {})
        if found:
            await target.store.insert_new(name, found)


@pytest.mark.usefixtures("durable")
@pytest.mark.parametrize(
    "copied",
    [
        pytest.param((*CONTENT, documents.PROGRESS), id="of one moment, with its progress"),
        pytest.param(CONTENT, id="of whatever moments, without progress"),
        pytest.param(CONTENT[1:], id="without messages, which were dropped, and without progress"),
    ],
)
async def test_a_database_restored_from_a_copy(
    copied: tuple[str, ...], log: Log, history: History, database: str, new_persister: NewPersister
) -> None:
    groups = [new_group() for _ in range(3)]
    said = await say_many(log, groups, 20)
    persister = new_persister()
    await persister.start()
    await eventually("the first part is stored", lambda: holds(history, said))
    # A copy is of one moment where nothing is written meanwhile.
    await eventually("all so far is committed", lambda: all_is_committed(database))
    async with open_history(f"{database}_restored") as restored:
        await copy(history, restored, copied)
        for group, more in (await say_many(log, groups, 20)).items():
            said[group] |= more
        await eventually("all is stored", lambda: holds(history, said))
        await eventually("all is committed", lambda: all_is_committed(database))
        assert await persister.stop() == 0
        await new_persister(MONGODB_DATABASE=f"{database}_restored").start()
        await eventually("all is stored again", lambda: holds(restored, said))
        expected = await content(history)

        async def same() -> bool:
            return await content(restored) == expected

        await eventually("both say the same", same)

"""The log gets more partitions while nobody chats: history goes on after what was, and no hole is silent."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from pydantic import SecretStr

from deploy.demo.local_system import LocalSystem, stop_together
from deploy.repository import REPOSITORY
from loadtest.chat_client import ChatClient
from loadtest.seen_frames import SeenFrames
from loadtest.students import Students
from runtime.kafka import partition_of
from runtime.kafka_topics import config_of
from runtime.mongo import open_store
from runtime.settings import MongoSettings
from schemas import topics
from schemas.client_events import ChatMessage
from schemas.ids import new_id
from tests.integration.backing import new_up, open_admin
from tests.integration.demo.system import Campus, open_campus, running_system
from tests.waiting import eventually

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(400)]

BEFORE, AFTER = 12, 17
AS_A_BACKGROUND_JOB = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
"""A shell that is nobody's terminal starts them so."""
IGNORING = {"KAFKA_IGNORE_ADDED_PARTITIONS": "true"}
GROWN = {"KAFKA_GENERATION": "2", "KAFKA_PARTITIONS": str(AFTER)}
AS_BEFORE = {"KAFKA_GENERATION": "1", "KAFKA_PARTITIONS": str(BEFORE)}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSystem]:
    """A system of this file's own: who ended a growth finds all as it was, and the last test grows it."""
    with running_system(tmp_path_factory.mktemp("grown"), edges=1) as system:
        if not system.backing.kafka_durable:
            pytest.skip("the broker in memory cannot seal a topic")
        yield system


def grow(env: dict[str, str], partitions: int) -> "subprocess.CompletedProcess[str]":
    """Call the command as an operator does, with a persister's variables."""
    return subprocess.run(
        [sys.executable, "-m", "persister.grow", str(partitions)],
        env=env,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def start_again(system: LocalSystem, told: dict[str, str]) -> None:
    """Start every service once more, with these variables, too."""
    stop_together(list(system.services.values()))
    for service in system.services.values():
        service.env |= told
        service.launch()
    for service in system.services.values():
        service.wait_ready()
    system.wait_until_spread()


class Talk:
    """Two students in some groups, and all that the second one got live."""

    def __init__(self, campus: Campus, ups: tuple[str, str], cursors: dict[str, int]) -> None:
        seen = SeenFrames()
        self.clients = [
            ChatClient(up, campus.system.mint_token(up), locate=campus.api.locate, seen=seen) for up in ups
        ]
        self.clients[1].cursors = cursors
        self.got: list[ChatMessage] = []
        self.clients[1].on_chat = self.got.append

    async def say(self, groups: list[str], *texts: str) -> None:
        """Let the first say these in each group, and the second hear all of them."""
        async with Students(self.clients) as students:
            await students.connect()
            for text in texts:
                for group in groups:
                    self.clients[0].post(group, text, message_id=new_id(), sent_at=0)
            await eventually("all are heard", lambda: len(self.got) >= len(groups) * len(texts))


async def stored(campus: Campus, group: str, token: str, count: int) -> list[tuple[int, str]]:
    """Return a group's history once it has so many messages and says that it is whole."""
    async with asyncio.timeout(60):
        while True:
            page = await campus.api.page(group, token, after=-1)
            found = [(message.seq, message.message) for message in page.messages]
            if len(found) >= count and page.storedUpTo >= found[-1][0]:
                return found


async def lose_the_store(system: LocalSystem) -> None:
    """Empty the database while no persister runs."""
    await asyncio.to_thread(system.services["persister"].stop)
    settings = MongoSettings(mongodb_uri=SecretStr(system.mongodb_uri), mongodb_timeout_ms=30_000)
    async with open_store(settings) as store:
        await store._database.client.drop_database(settings.mongodb_database)


def store_as(system: LocalSystem, told: dict[str, str]) -> None:
    """Start the persister again, with these variables, too."""
    persister = system.services["persister"]
    persister.stop()
    persister.env |= told
    persister.start()


async def has_texts(campus: Campus, group: str, token: str, *texts: str) -> bool:
    """Say whether history has exactly these messages."""
    page = await campus.api.page(group, token, after=-1)
    return [message.message for message in page.messages] == list(texts)


async def restore_without_backup(campus: Campus, groups: list[str], token: str) -> None:
    """Lose the store; let the persister read the old topics, and then the new ones, as the page says."""
    await lose_the_store(campus.system)
    await asyncio.to_thread(store_as, campus.system, AS_BEFORE)
    for group in groups:
        await eventually(
            "the old topics are read", partial(has_texts, campus, group, token, "one", "two", "three")
        )
    await asyncio.to_thread(store_as, campus.system, GROWN)
    for group in groups:
        assert len(await stored(campus, group, token, 4)) == 4


async def is_sealed(admin: AIOKafkaAdminClient) -> bool:
    """Say whether messages are refused by the log."""
    _, entries = await config_of(admin, topics.MESSAGES)
    return topics.SEAL.items() <= {name: value for name, value, *_ in entries}.items()


async def add_partitions_in_place(servers: str) -> None:
    """Do what nobody should: alter the topics."""
    async with open_admin(servers) as admin:
        await admin.create_partitions({name: NewPartitions(BEFORE + 1) for name in topics.OF_GENERATIONS})


@contextmanager
def nobody_stores(system: LocalSystem) -> Iterator[None]:
    """Let the persister rest within the block: what is said meanwhile is not stored."""
    persister = system.services["persister"].pid
    os.kill(persister, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(persister, signal.SIGCONT)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
async def test_who_ends_a_growth_finds_all_as_it_was(system: LocalSystem, signum: signal.Signals) -> None:
    env = dict(system.services["persister"].env)
    async with open_campus(system) as campus, open_admin(env["KAFKA_BOOTSTRAP_SERVERS"]) as admin:
        ups = (new_up(), new_up())
        group = await campus.group(*ups)
        with nobody_stores(system):
            await Talk(campus, ups, {}).say([group], "one")
            growing = await asyncio.create_subprocess_exec(
                *AS_A_BACKGROUND_JOB,
                *(sys.executable, "-m", "persister.grow", str(AFTER)),
                env=env,
                cwd=REPOSITORY,
                stderr=asyncio.subprocess.PIPE,
            )
            await eventually("the log is sealed", partial(is_sealed, admin))
            growing.send_signal(signum)
            _, told = await growing.communicate()
        assert (growing.returncode, told) == (130, b"not grown: interrupted, and all is as it was\n")
        assert not await is_sealed(admin)
        await Talk(campus, ups, {}).say([group], "two")


async def test_after_growing_history_goes_on_and_clients_hear_of_the_hole(system: LocalSystem) -> None:
    async with open_campus(system) as campus:
        ups = (new_up(), new_up())
        token = system.mint_token(ups[1])
        groups = [await campus.group(*ups) for _ in range(8)]
        moved = [
            group
            for group in groups
            if partition_of(group.encode(), BEFORE) != partition_of(group.encode(), AFTER)
        ]
        assert moved
        before = Talk(campus, ups, {})
        await before.say(groups, "one", "two")
        env = dict(system.services["persister"].env)
        await add_partitions_in_place(env["KAFKA_BOOTSTRAP_SERVERS"])
        refused = await asyncio.to_thread(grow, env, AFTER)
        assert f"has {BEFORE + 1} partitions, not {BEFORE}" in refused.stderr
        await asyncio.to_thread(start_again, system, IGNORING)
        before.got.clear()
        await before.say(groups, "three")
        writers = [system.services[name] for name in ("edge-1", "api_gateway")]
        await asyncio.to_thread(stop_together, writers)
        env = dict(system.services["persister"].env)
        done = await asyncio.to_thread(grow, env, AFTER)
        assert done.stderr == ""
        assert done.returncode == 0
        assert "KAFKA_GENERATION=2 KAFKA_PARTITIONS=17" in done.stdout
        await asyncio.to_thread(start_again, system, GROWN)
        async with campus.session.get(f"{system.internal_url}/asyncapi.json") as answer:
            channels = (await answer.json())["channels"]
        assert channels["chat.messages"]["address"] == "chat.messages.2"
        after = Talk(campus, ups, dict(before.clients[1].cursors))
        await after.say(groups, "four")
        assert set(groups) <= {room for room, *_ in after.clients[1].holes}
        for group in groups:
            history = await stored(campus, group, token, 4)
            assert [text for _, text in history] == ["one", "two", "three", "four"]
            assert [seq for seq, _ in history] == sorted({seq for seq, _ in history})
        fewer, again = await asyncio.gather(
            *(asyncio.to_thread(grow, env, partitions) for partitions in (BEFORE - 1, AFTER + 1))
        )
        assert fewer.stderr == f"not grown: there are {BEFORE} partitions: {BEFORE - 1} are not more\n"
        assert fewer.returncode == 1
        assert again.returncode == 1
        assert "is there already" in again.stderr
        await restore_without_backup(campus, groups, token)

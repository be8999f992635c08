"""Edges send their clients where the table says: the test publishes tables as a dispatcher would."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from socketio.exceptions import ConnectionError as RefusedConnection

from dispatcher.published import read_published
from loadtest.chat_client import ChatClient as Student
from loadtest.seen_frames import SeenFrames
from loadtest.students import Students
from runtime import metrics
from runtime.settings import KafkaSettings
from schemas import topics
from schemas.assignments import TABLE_KEY, Shard, TableAssigned
from schemas.ids import new_id
from schemas.log_records import encode
from schemas.up_number import CIRCLE, up_at
from tests.integration.backing import Log, new_group, new_up, token
from tests.integration.edge_server.edges import ChatClient, Edge, edge
from tests.waiting import eventually

HALF = CIRCLE // 2


class Tables:
    """Publishes tables, each newer than the one before."""

    def __init__(self, log: Log, epoch: int) -> None:
        self._log = log
        self._epoch = epoch
        self._version = 0

    async def publish(
        self, lower: str, upper: str, urls: Mapping[str, str], draining: Sequence[str] = ()
    ) -> None:
        self._version += 1
        table = TableAssigned(
            epoch=self._epoch,
            version=self._version,
            shards=(Shard(start=0, end=HALF, edge=lower), Shard(start=HALF, end=CIRCLE, edge=upper)),
            urls=dict(urls),
            draining=tuple(draining),
        )
        await self._log.write(topics.ASSIGNMENTS, encode(table, key=TABLE_KEY, source="test"))


@pytest.fixture
async def tables(log: Log) -> Tables:
    """A dispatcher's pen."""
    published = await read_published(KafkaSettings())
    return Tables(log, 1 + (published.epoch if published else 0))


class Group:
    """Students of one group, what each of them received, and what was acked."""

    def __init__(self, group: str, at: Edge, points: Sequence[int]) -> None:
        self.group = group
        self.received: dict[str, list[int]] = {}
        self.acked: list[int] = []
        self.students = [self._student(up_at(point), at) for point in points]

    def _student(self, up: str, at: Edge) -> Student:
        async def locate(_token: str) -> str:
            return at.url

        student = Student(up, token(up), locate=locate, seen=SeenFrames())
        mine = self.received[up] = []
        student.on_chat = lambda message: mine.append(message.seq)
        student.on_acked = lambda _, ok: self.acked.append(ok.seq)
        return student

    def say(self, count: int = 1) -> None:
        for student in self.students:
            for _ in range(count):
                student.post(self.group, "x", message_id=new_id(), sent_at=0)

    async def is_whole(self, expected: int) -> None:
        """Wait until everybody has everything; nothing may be missing, doubled or out of order."""
        await eventually("all acked", lambda: len(self.acked) == expected)
        await eventually("all received", lambda: all(len(one) >= expected for one in self.received.values()))
        assert len(self.acked) == expected
        assert all(one == sorted(self.acked) for one in self.received.values())
        assert [student.holes for student in self.students] == [[]] * len(self.students)


@asynccontextmanager
async def chatting(log: Log, at: Edge, count: int) -> AsyncIterator[Group]:
    group = Group(new_group(), at, [n * CIRCLE // count + 7 for n in range(count)])
    await log.join(group.group, *group.received)
    async with Students(group.students) as students:
        await students.connect()
        await eventually("all in the room", lambda: all(one.cursors for one in group.students))
        yield group


async def test_the_clients_of_a_moved_shard_go_there_and_miss_nothing_while_the_others_stay(
    log: Log, tables: Tables
) -> None:
    async with edge(edge_name="mv-a") as a, edge(edge_name="mv-b") as b:
        urls = {"mv-a": a.url, "mv-b": b.url}
        await tables.publish("mv-a", "mv-a", urls)
        async with chatting(log, a, 20) as group:
            group.say(3)
            await tables.publish("mv-a", "mv-b", urls)
            upper = group.students[10:]
            said = 3
            while not all(student.connections == 2 and student.connected.is_set() for student in upper):
                group.say()
                said += 1
                await asyncio.sleep(0.05)
            await group.is_whole(said * 20)
            assert [student.connections for student in group.students] == [1] * 10 + [2] * 10
            assert {student.lost_because for student in upper} == {"moved"}


async def test_who_stays_after_being_told_to_move_is_closed(log: Log, tables: Tables) -> None:
    async with edge(edge_name="mv-a", move_within_s=0.5) as a:
        await tables.publish("mv-b", "mv-b", {"mv-a": a.url, "mv-b": "http://b.example"})
        stubborn, told = ChatClient(new_up()), list[dict[str, Any]]()
        stubborn.hear("move", told.append)
        await stubborn.connect(a)
        await eventually("closed", lambda: stubborn.disconnects == 1)
        assert told == [{"url": "http://b.example", "reason": "balance", "within_s": 0.5}]


async def test_a_stopping_edge_gives_its_clients_away_before_it_ends(log: Log, tables: Tables) -> None:
    forced = metrics.MOVES_FORCED.collect()
    async with edge(edge_name="mv-b") as b:
        async with edge(edge_name="mv-a", drain_deadline_s=40.0) as a:
            await tables.publish("mv-a", "mv-a", {"mv-a": a.url, "mv-b": b.url})
            open_group = chatting(log, a, 20)
            group = await open_group.__aenter__()
            group.say(3)
            await tables.publish("mv-b", "mv-b", {"mv-b": b.url})
        try:
            group.say(3)
            await group.is_whole(120)
            assert [student.connections for student in group.students] == [2] * 20
            assert metrics.MOVES_FORCED.collect() == forced
        finally:
            await open_group.__aexit__(None, None, None)


async def test_an_edge_that_was_asked_to_drain_stays_empty_until_it_is_asked_no_more(
    log: Log, tables: Tables
) -> None:
    async with edge(edge_name="mv-a") as a, edge(edge_name="mv-b") as b:
        urls = {"mv-a": a.url, "mv-b": b.url}
        await tables.publish("mv-a", "mv-a", urls)
        async with chatting(log, a, 4) as group:
            await tables.publish("mv-b", "mv-b", {"mv-b": b.url}, draining=["mv-a"])
            await eventually("all moved", lambda: all(one.connections == 2 for one in group.students))
            await tables.publish("mv-a", "mv-a", urls)
            await eventually("all are back", lambda: all(one.connections >= 3 for one in group.students))
            group.say()
            await group.is_whole(4)


async def test_a_full_edge_names_another_one_but_not_to_strangers(log: Log, tables: Tables) -> None:
    await tables.publish("mv-a", "mv-a", {"mv-a": "http://a.example", "mv-b": "http://b.example"})
    async with edge(edge_name="mv-a", edge_capacity=1) as a:
        await ChatClient(new_up()).connect(a)
        second, stranger = ChatClient(new_up()), ChatClient(new_up())
        with pytest.raises(RefusedConnection):
            await second.connect(a)
        assert second.connect_error["data"]["code"] == "overloaded"
        assert second.connect_error["data"]["url"] == "http://b.example"
        with pytest.raises(RefusedConnection):
            await stranger.connect(a, auth={"token": "nonsense"})
        assert "url" not in stranger.connect_error["data"]

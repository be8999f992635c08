"""Who is told to move, and when, by the tables that an edge has seen and the clients that come to it."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

from edge_server.clients import Client
from edge_server.drain import Drain
from edge_server.elsewhere import Elsewhere
from edge_server.moving import STRAY_AFTER_S, Moving
from edge_server.rooms import Rooms
from edge_server.settings import EdgeSettings
from runtime.assignments import Assignments
from schemas.assignments import Shard, TableAssigned
from schemas.up_number import CIRCLE
from tests.unit.dispatcher.records import record

HALF = CIRCLE // 2


@dataclass(eq=False)
class Stranger:
    """A client whose number another edge holds."""

    sid: str = "sid"
    up: str = "up201906049"
    gone: bool = False
    told: list[str] = field(default_factory=list)

    def send(self, text: str) -> None:
        self.told.append(text)


async def test_a_newcomer_is_given_the_time_in_which_a_newer_table_may_come() -> None:
    """Whoever sent it here may know more than this edge: told at once, it would come back again."""
    assignments, rooms, newcomer = Assignments(), Rooms(), Stranger()
    elsewhere = Elsewhere("a", assignments)
    moving = Moving(EdgeSettings(), rooms, elsewhere, Drain(elsewhere, rooms), lambda _client, _why: None)
    shards = (Shard(start=0, end=HALF, edge="a"), Shard(start=HALF, end=CIRCLE, edge="b"))
    table = TableAssigned(epoch=1, version=1, shards=shards, urls={"a": "http://a", "b": "http://b"})
    assignments.take(0, [record(table)])
    moving._look_around()
    now = asyncio.get_running_loop().time()
    moving._step(now - 1.0)

    rooms.add(cast(Client, newcomer))
    moving.look_at(cast(Client, newcomer))
    moving._look_around()
    moving._step(now)
    assert newcomer.told == []
    moving._step(asyncio.get_running_loop().time() + STRAY_AFTER_S)
    assert len(newcomer.told) == 1

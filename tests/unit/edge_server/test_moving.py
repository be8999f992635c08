"""Who is told to move, and when, by the tables that an edge has seen and the clients that come to it."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

from edge_server.clients import Client
from edge_server.drain import IN_TIME, Drain
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
    """A client whose number edge b holds."""

    sid: str = "sid"
    up: str = "up201906049"
    gone: bool = False
    told: list[bytes] = field(default_factory=list)

    def send(self, text: bytes) -> None:
        self.told.append(text)


class EdgeA:
    """What moves the clients of edge a, by a table that has edges a and b."""

    def __init__(self) -> None:
        assignments, self.rooms = Assignments(), Rooms()
        elsewhere = Elsewhere("a", assignments)
        shards = (Shard(start=0, end=HALF, edge="a"), Shard(start=HALF, end=CIRCLE, edge="b"))
        urls = {"a": "http://a", "b": "http://b"}
        assignments.take(0, [record(TableAssigned(epoch=1, version=1, shards=shards, urls=urls))])
        self.drain = Drain(elsewhere, self.rooms)
        self.moving = Moving(EdgeSettings(), self.rooms, elsewhere, self.drain, lambda _client, _why: None)

    def add(self, stranger: Stranger) -> None:
        self.rooms.add(cast(Client, stranger))

    def step(self, now: float) -> None:
        self.moving._look_around()
        self.moving._step(now)


async def test_a_newcomer_is_given_the_time_in_which_a_newer_table_may_come() -> None:
    """Whoever sent it here may know more than this edge: told at once, it would come back again."""
    edge, newcomer = EdgeA(), Stranger()
    now = asyncio.get_running_loop().time()
    edge.step(now - 1.0)
    edge.add(newcomer)
    edge.moving.look_at(cast(Client, newcomer))
    edge.step(now)
    assert newcomer.told == []
    edge.step(asyncio.get_running_loop().time() + STRAY_AFTER_S)
    assert len(newcomer.told) == 1


async def test_a_stopping_edge_has_told_everybody_while_there_is_time_for_the_slow() -> None:
    edge, deadline_s, strangers = EdgeA(), 30.0, [Stranger(sid=str(n)) for n in range(9_000)]
    for stranger in strangers:
        edge.add(stranger)
    edge.drain.begin(deadline_s)
    began = asyncio.get_running_loop().time()
    for tenths in range(round(10 * IN_TIME * deadline_s) + 5):
        edge.step(began + tenths / 10)
    assert all(stranger.told for stranger in strangers)

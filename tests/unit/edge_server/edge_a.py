"""An edge whose clients move by tables, and a client that another one holds."""

from dataclasses import dataclass, field
from typing import cast

from edge_server.clients import Client
from edge_server.drain import Drain
from edge_server.elsewhere import Elsewhere
from edge_server.moving import Moving
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
    """What moves the clients of edge a, by tables that have other edges, too."""

    def __init__(self, draining: tuple[str, ...] = ()) -> None:
        self._assignments, self.rooms = Assignments(), Rooms()
        elsewhere = Elsewhere("a", self._assignments)
        self._version = 0
        self.take_table("a", "b", draining)
        self.drain = Drain(elsewhere, self.rooms)
        self.closed: list[tuple[Client, str]] = []
        self.moving = Moving(
            EdgeSettings(),
            self.rooms,
            elsewhere,
            self.drain,
            lambda client, why: self.closed.append((client, why)),
        )

    def take_table(self, lower: str, upper: str, draining: tuple[str, ...] = ()) -> None:
        self._version += 1
        shards = (Shard(start=0, end=HALF, edge=lower), Shard(start=HALF, end=CIRCLE, edge=upper))
        urls = {"a": "http://a", "b": "http://b", "c": "http://c"}
        table = TableAssigned(epoch=1, version=self._version, shards=shards, urls=urls, draining=draining)
        self._assignments.take(0, [record(table)])

    def add(self, stranger: Stranger) -> None:
        self.rooms.add(cast(Client, stranger))

    def step(self, now: float) -> None:
        self.moving._check_all_if_changed()
        self.moving._step(now)

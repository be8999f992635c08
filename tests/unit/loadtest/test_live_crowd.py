"""The bodies do what the plan says: they come, speak without waiting, and come back by themselves."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from loadtest.live_crowd import WINDOW, LiveCrowd
from loadtest.memory import Memory
from loadtest.schedule import Line
from schemas.client_events import CHAT_MESSAGE
from tests.unit.loadtest.plain_edge import PlainEdge, running_edge
from tests.waiting import eventually

UPS = ("up000000001", "up000000002", "up000000003")


@asynccontextmanager
async def crowd(edge: PlainEdge) -> AsyncIterator[tuple[LiveCrowd, Memory]]:
    started = time.monotonic()
    memory = Memory(dict.fromkeys(UPS, ("leic",)), lambda: time.monotonic() - started)
    edge.joined = {"leic": {"head": 5, "missed": 0, "recovered": True}}
    edge.answer = lambda said: {"id": said["id"], "seq": 6 + len(edge.got), "timestamp": 1}
    live = LiveCrowd(
        UPS, lambda up: up, edge.locate, memory, prefix="run-0-", clock=lambda: time.monotonic() - started
    )
    try:
        yield live, memory
    finally:
        await live.close()


async def test_students_come_and_what_they_say_is_acked_under_ids_of_their_own() -> None:
    async with running_edge() as edge, crowd(edge) as (live, memory):
        await live.connect_all([0.0, 0.0, 0.0])
        assert (live.online, live.connections, memory.came) == (3, 3, set(UPS))
        assert all(memory.subscriptions[up]["leic"].after == 5 for up in UPS)
        await live.talk([Line(0.0, UPS[0], "leic", "um"), Line(0.0, UPS[1], "leic", "dois")])
        await eventually("both are acked", lambda: memory.acked == 2)
        assert live.planned == memory.late.total == 2
        assert [said["message"] for said in edge.got] == ["um", "dois"]
        assert len({said["id"] for said in edge.got}) == 2


async def test_a_student_has_as_many_messages_under_way_as_an_edge_takes_before_any_is_acked() -> None:
    may_answer, heard = asyncio.Event(), list[str]()

    async def late(_sid: str, said: dict[str, Any]) -> dict[str, Any]:
        heard.append(said["message"])
        await may_answer.wait()
        return {"id": said["id"], "seq": 6 + int(said["message"]), "timestamp": 1}

    async with running_edge() as edge, crowd(edge) as (live, memory):
        edge.io.on(CHAT_MESSAGE, late)
        await live.connect_all([0.0])
        await live.talk([Line(0.0, UPS[0], "leic", str(number)) for number in range(WINDOW + 1)])
        await eventually("they are under way", lambda: len(heard) == WINDOW)
        may_answer.set()
        await eventually("all are acked", lambda: memory.acked == WINDOW + 1)


async def test_what_comes_back_is_held_against_the_id_and_the_clock_that_were_sent() -> None:
    async with running_edge() as edge, crowd(edge) as (live, memory):
        await live.connect_all([0.0])
        await live.talk([Line(0.0, UPS[0], "leic", "um")])
        await eventually("it is acked", lambda: memory.acked == 1)
        (said,) = edge.got
        back = {**said, "seq": 7, "sentAt": said["timestamp"]}
        await edge.emit(CHAT_MESSAGE, back)
        await eventually("it has come back", lambda: memory.received == 1)
        assert memory.verdict().altered == 0
        await edge.emit(CHAT_MESSAGE, {**back, "id": "forged", "seq": 8})
        await edge.emit(CHAT_MESSAGE, {**back, "sentAt": 5, "seq": 7})
        await eventually("all have come", lambda: memory.received == 3)
        assert memory.verdict().altered == 2


async def test_only_those_whose_turn_it_is_come() -> None:
    async with running_edge() as edge, crowd(edge) as (live, memory):
        await live.connect_all([0.0])
        assert live.online == 1
        assert memory.came == {UPS[0]}


async def test_who_loses_the_network_comes_back_and_resumes() -> None:
    async with running_edge() as edge, crowd(edge) as (live, _):
        await live.connect_all([0.0, 0.0, 0.0])
        await live.drop_connections([(0.0, UPS[:2])])
        await eventually("all are back", lambda: live.connections == 5 and live.online == 3)
        assert sum(auth["since"] == {"leic": 5} for auth in edge.auths) == 2


async def test_a_student_who_is_refused_for_good_is_named() -> None:
    async with running_edge() as edge, crowd(edge) as (live, _):
        edge.refuse = {"code": "invalid_token"}
        await live.connect_all([0.0])
        assert live.failure is not None
        assert live.failure.startswith(f"{UPS[0]} was refused")


async def test_a_hole_is_told_to_the_memory() -> None:
    async with running_edge() as edge, crowd(edge) as (live, memory):
        await live.connect_all([0.0, 0.0, 0.0])
        edge.joined = {"leic": {"head": 9, "missed": 0, "recovered": False}}
        await live.drop_connections([(0.0, UPS[:1])])
        await eventually("the hole is known", lambda: live.holes == 1)
        live.note_holes()
        assert memory.subscriptions[UPS[0]]["leic"].holes == [(5, 9)]

"""A wish is granted or refused in time, whatever Kafka does."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import SecretStr

from dispatcher import wishes
from dispatcher.settings import DispatcherSettings
from dispatcher.wishes import Wishes
from runtime import kafka
from runtime.assignments import Assignments
from schemas import topics
from schemas.assignments import Shard, TableAssigned
from schemas.log_records import DrainAsked, EdgesAsked, Record
from schemas.refusals import UNAVAILABLE
from schemas.up_number import CIRCLE
from tests.unit.dispatcher.records import record
from tests.unit.refusing import refuses
from tests.waiting import eventually, passes

SETTINGS = DispatcherSettings(dispatcher_token=SecretStr("x" * 16))


class FrozenProducer:
    """One whose brokers say nothing any more: what it has taken is never settled."""

    async def start(self) -> None:
        pass

    async def send(self, *_: Any, **__: Any) -> "asyncio.Future[Any]":
        return asyncio.get_running_loop().create_future()

    async def stop(self) -> None:
        await asyncio.Event().wait()


async def test_a_wish_is_refused_in_time_though_the_producer_does_not_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wishes, "new_producer", lambda *_, **__: FrozenProducer())
    monkeypatch.setattr(wishes, "GRANT_DEADLINE_S", 0.01)
    monkeypatch.setattr(kafka, "STOP_HANGS_AFTER_S", 0.01)
    asked = Wishes(SETTINGS, Assignments())
    async with asyncio.timeout(60):
        with refuses(UNAVAILABLE):
            await asked.edges(3)


class TakingProducer:
    """One whose brokers take everything at once."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes | None, list[tuple[str, bytes]]]] = []
        self.stopped = False

    async def start(self) -> None:
        pass

    async def send(self, topic: str, **sent: Any) -> "asyncio.Future[Any]":
        self.taken.append((topic, sent["value"], sent["headers"]))
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def stop(self) -> None:
        self.stopped = True


def table(version: int, *, draining: tuple[str, ...] = (), edges_asked: int = 0) -> TableAssigned:
    whole = Shard(start=0, end=CIRCLE, edge="a")
    return TableAssigned(
        epoch=1, version=version, shards=(whole,), urls={}, draining=draining, edges_asked=edges_asked
    )


@pytest.mark.parametrize(
    ("ask", "wish", "before", "granting"),
    [
        (lambda w: w.drain("a", True), DrainAsked(edge="a", drain=True), {}, {"draining": ("a",)}),
        (lambda w: w.drain("a", False), DrainAsked(edge="a", drain=False), {"draining": ("a",)}, {}),
        (lambda w: w.edges(3), EdgesAsked(edges=3), {"edges_asked": 4}, {"edges_asked": 3}),
    ],
)
async def test_a_wish_stands_in_the_log_and_is_granted_by_the_first_table_that_shows_it(
    monkeypatch: pytest.MonkeyPatch,
    ask: Callable[[Wishes], Awaitable[None]],
    wish: DrainAsked | EdgesAsked,
    before: dict[str, Any],
    granting: dict[str, Any],
) -> None:
    producer, published = TakingProducer(), Assignments()
    monkeypatch.setattr(wishes, "new_producer", lambda *_, **__: producer)
    monkeypatch.setattr(wishes, "GRANT_DEADLINE_S", 60.0)
    asking = asyncio.ensure_future(ask(Wishes(SETTINGS, published)))

    async def granted_by(shown: Record | None) -> bool:
        published.take(0, [] if shown is None else [record(shown)])
        await passes()
        return asking.done()

    assert not await granted_by(None), "nothing is published yet"
    [(topic, value, headers)] = producer.taken
    assert (topic, type(wish).read(headers, value)) == (topics.EDGE_STATUS, wish)
    assert producer.stopped, "each wish has one of its own"
    for version in (1, 2):
        assert not await granted_by(table(version, **before)), "it is as it was"
    assert await granted_by(table(3, **granting))
    await asking


async def test_a_wish_that_was_written_while_nobody_led_is_written_again_for_the_next_leader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A leader reads from when it takes over on: it does not know what was asked before."""
    producer, published = TakingProducer(), Assignments()
    monkeypatch.setattr(wishes, "new_producer", lambda *_, **__: producer)
    monkeypatch.setattr(wishes, "GRANT_DEADLINE_S", 60.0)
    monkeypatch.setattr(wishes, "ASK_AGAIN_AFTER_S", 0.01)
    asking = asyncio.ensure_future(Wishes(SETTINGS, published).drain("a", True))
    await eventually("it is asked again", lambda: len(producer.taken) > 1)
    asked = {DrainAsked.read(headers, value).model_dump_json() for _, value, headers in producer.taken}
    assert asked == {DrainAsked(edge="a", drain=True).model_dump_json()}
    published.take(0, [record(table(1, draining=("a",)))])
    await asking

"""Whoever has gone is shown as offline, however late the log answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.errors import ProducerClosed

from edge_server import presence as presence_module
from edge_server.clients import Client
from edge_server.presence import Presence
from edge_server.settings import EdgeSettings
from runtime import metrics, refusing
from runtime.tokens import Identity
from schemas.log_records import PresenceChanged
from schemas.refusals import UNAVAILABLE
from tests.counting import counting
from tests.unit.refusing import refuses
from tests.waiting import in_background, passes

UP = "up202000001"
PROCESS = "3f2a9c01"
DEADLINE_S = 30.0


class Producer:
    """A log that takes what comes at once and answers when the test says so, or a producer to be replaced."""

    def __init__(self) -> None:
        self.written: list[PresenceChanged] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.is_there = asyncio.Event()
        self.is_there.set()

    async def ready(self) -> None:
        await self.is_there.wait()

    async def send(self, _topic: str, *, value: bytes, **_: Any) -> "asyncio.Task[bool]":
        if not self.is_there.is_set():
            raise ProducerClosed
        self.written.append(PresenceChanged.read_value(value))
        return asyncio.create_task(self.answers.wait())

    def said(self) -> list[bool]:
        return [record.online for record in self.written]


def client(up: str = UP) -> Client:
    return Client("sid", Identity(up, 0.0), object(), max_bytes=1, max_packets=1)


@asynccontextmanager
async def presence(producer: Producer, **settings: Any) -> AsyncIterator[Presence]:
    """An edge's presence, whose departures are written."""
    shown = Presence(EdgeSettings(log_dir="", **settings), producer, PROCESS)  # type: ignore[arg-type]
    async with in_background(shown._write_departures()):
        yield shown


async def test_who_leaves_is_shown_as_offline_and_who_never_said_so_is_not() -> None:
    producer = Producer()
    async with presence(producer) as shown:
        shown.left(client())
        await passes()
        assert producer.said() == []
        await shown.online(client())
        shown.left(client())
        await passes()
        assert producer.said() == [True, False]


async def test_each_record_names_its_edge_and_which_process_of_it() -> None:
    producer = Producer()
    async with presence(producer, edge_name="edge-7") as shown:
        await shown.online(client())
        shown.left(client())
        await passes()
    said_by = [(record.online, record.edge, record.process) for record in producer.written]
    assert said_by == [(True, "edge-7", PROCESS), (False, "edge-7", PROCESS)]


async def test_who_leaves_before_the_log_has_answered_is_shown_as_offline() -> None:
    producer = Producer()
    producer.answers.clear()
    async with presence(producer) as shown:
        going_online = asyncio.create_task(shown.online(client()))
        await passes()
        shown.left(client())
        producer.answers.set()
        await going_online
        await passes()
        assert producer.said() == [True, False]


async def test_who_leaves_after_the_log_answered_too_late_is_shown_as_offline() -> None:
    producer = Producer()
    producer.answers.clear()
    async with presence(producer, send_timeout_ms=100, refuse_when_waiting_ms=100) as shown:
        with refuses(UNAVAILABLE):
            await shown.online(client())
        producer.answers.set()
        shown.left(client())
        await passes()
        assert producer.said() == [True, False]


async def test_while_the_producer_is_replaced_whoever_goes_online_is_told_that_it_is_unavailable() -> None:
    producer = Producer()
    producer.is_there.clear()
    async with presence(producer) as shown:
        with refuses(UNAVAILABLE):
            await shown.online(client())


async def test_presence_that_cannot_be_written_is_not_counted_as_a_refused_message() -> None:
    """Refused messages wake somebody, who is online is a hint."""
    producer = Producer()
    producer.is_there.clear()
    failures = counting(metrics.PRESENCE_FAILURES)
    refused = counting(metrics.REFUSALS.labels(code=UNAVAILABLE.code))
    async with presence(producer) as shown:
        with refuses(UNAVAILABLE) as refusal:
            await shown.online(client())
    assert refusing.answer(refusal.value)["error"]["code"] == UNAVAILABLE.code
    assert (failures(), refused()) == (1, 0)


async def test_past_the_bound_of_waiting_departures_clients_still_leave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While Kafka is away an edge closes all its clients, and each of them has to get through this."""
    monkeypatch.setattr(presence_module, "MAX_WAITING_DEPARTURES", 2)
    hits = metrics.LIMIT_HITS.labels(limit="departures")._value
    before, producer = hits.get(), Producer()
    async with presence(producer) as shown:
        users = [client(f"up{202000000 + n}") for n in range(5)]
        for user in users:
            await shown.online(user)
        for user in users:
            shown.left(user)
        assert hits.get() == before + 3
        await passes()
        assert producer.said() == [True] * 5 + [False] * 2


async def test_a_departure_that_waits_is_not_written_after_the_user_came_back() -> None:
    producer = Producer()
    async with presence(producer) as shown:
        await shown.online(client())
        shown.left(client())
        await shown.online(client())
        await passes()
        assert producer.said() == [True, True]
        shown.left(client())
        await passes()
        assert producer.said() == [True, True, False]


async def test_who_leaves_while_the_producer_is_replaced_is_shown_as_offline_by_the_next_one() -> None:
    producer = Producer()
    async with presence(producer) as shown:
        await shown.online(client())
        producer.is_there.clear()
        shown.left(client())
        await passes()
        producer.is_there.set()
        await passes()
        assert producer.said() == [True, False]


async def test_a_departure_that_the_log_refuses_is_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_module, "RETRY_AFTER_S", 0.0)
    producer = Producer()
    async with presence(producer) as shown:
        await shown.online(client())
        write, failures = shown._write, iter([ProducerClosed()])

        async def fails_once(up: str, online: bool) -> None:
            for failure in failures:
                raise failure
            await write(up, online)

        monkeypatch.setattr(shown, "_write", fails_once)
        failed = counting(metrics.PRESENCE_FAILURES)
        shown.left(client())
        await shown.drain(DEADLINE_S)
        assert producer.said() == [True, False]
        assert failed() == 1


async def test_whoever_is_here_until_the_end_is_shown_as_offline_before_the_edge_ends() -> None:
    """The log answers once a pass: one after the other would take as many of them as there are users."""
    producer = Producer()
    async with presence(producer) as shown:
        users = [client(f"up{202000000 + n}") for n in range(300)]
        for user in users:
            await shown.online(user)
        producer.answers.clear()
        for user in users:
            shown.left(user)
        await passes()
        assert producer.said().count(False) == 300
        draining = asyncio.create_task(shown.drain(DEADLINE_S))
        await passes()
        assert not draining.done()
        producer.answers.set()
        await draining


async def test_an_edge_does_not_wait_for_departures_for_longer_than_it_may() -> None:
    producer = Producer()
    async with presence(producer) as shown:
        await shown.online(client())
        producer.answers.clear()
        shown.left(client())
        await shown.drain(0.0)

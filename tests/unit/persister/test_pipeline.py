"""The steps as a whole: none of them may end while the others go on."""

import asyncio
from functools import partial
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import InvalidSessionTimeoutError
from prometheus_client import REGISTRY

from deploy.local.ports import free_ports
from persister import pipeline as steps
from persister.app import start
from persister.batch import Batch, Ends
from persister.group_reader import GroupReader, Polled
from persister.outage import Outage
from persister.pipeline import Pipeline
from persister.settings import PersisterSettings
from runtime.service import Service
from schemas import documents, topics
from tests.records import consumed
from tests.unit.persister import records as make
from tests.unit.persister.model_store import ModelStore
from tests.waiting import eventually, in_background

TP, QUIET = TopicPartition(topics.MESSAGES, 0), TopicPartition(topics.MESSAGES, 1)


class Reader(GroupReader):
    """A group of one message, which every member gets. The library lets a cancellation out of a commit."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.starts = {TP: 0}
        self.leaks = False
        self.ends = {TP: (0, 0)}
        self.looks = 0
        self.in_group = True
        self.committed: list[Ends] = []
        self.said = True

    async def start(self, _: Any) -> None:
        """Nobody else is in the group."""

    async def stop(self) -> None:
        """As above."""

    async def poll(self, _: int) -> Polled:
        if not self.said:
            await asyncio.Event().wait()
        self.said = False
        return Polled(self.epoch, {TP: [consumed(topics.MESSAGES, make.message(), offset=0)]})

    async def commit(self, ends: Ends) -> None:
        if self.leaks:
            raise asyncio.CancelledError
        self.committed.append(ends)

    async def offsets(self) -> dict[TopicPartition, tuple[int, int]]:
        self.looks += 1
        return self.ends

    def fault(self) -> str | None:
        return None if self.in_group else "not in the consumer group"


class Writer:
    """Takes every batch."""

    async def write(self, _batch: Batch, *, wanted: Any) -> None:
        """It is stored."""


async def test_a_step_that_a_library_cancels_is_begun_anew_with_all_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(steps, "RETRY_AFTER_S", 0.0)
    readers: list[Reader] = []

    def new_reader(*arguments: Any) -> Reader:
        # The first one only tells how the pipeline is made: none of its steps has run yet.
        readers.append(Reader(*arguments))
        readers[-1].leaks = len(readers) == 2
        return readers[-1]

    settings = PersisterSettings(log_dir="", flush_after_ms=1)
    store: Any = ModelStore()
    pipeline = Pipeline(settings, store, Writer(), Outage(0.0), new_reader=new_reader)  # type: ignore[arg-type]
    running = asyncio.create_task(pipeline.run())
    await eventually("it is committed", lambda: readers[-1].committed == [{TP: 1}])
    assert len(readers) == 3
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()


async def test_readiness_says_what_keeps_a_persister_out_of_the_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(steps, "RETRY_AFTER_S", 0.0)
    refused = True

    class Refused(Reader):
        async def poll(self, max_records: int) -> Polled:
            self.in_group = not refused
            if refused:
                raise InvalidSessionTimeoutError
            return await super().poll(max_records)

    settings, store = PersisterSettings(log_dir=""), ModelStore()
    pipeline = Pipeline(settings, store, Writer(), Outage(0.0), new_reader=Refused)  # type: ignore[arg-type]
    async with in_background(pipeline.run()):
        said = "not in the consumer group: InvalidSessionTimeoutError()"
        await eventually("it is said", lambda: pipeline.fault() == said)
        refused = False
        await eventually("it is let in", lambda: pipeline.fault() is None)


async def test_where_reading_begins_counts_as_reached_though_no_record_comes() -> None:
    def new_reader(*arguments: Any) -> Reader:
        reader = Reader(*arguments)
        reader.starts |= {QUIET: 500}
        return reader

    store = ModelStore()
    settings = PersisterSettings(log_dir="")
    pipeline = Pipeline(settings, store, Writer(), Outage(0.0), new_reader=new_reader)  # type: ignore[arg-type]
    async with in_background(pipeline.run()):
        quiet = documents.progress_key(QUIET.topic, QUIET.partition)
        await eventually(
            "the store knows it",
            lambda: store.documents(documents.PROGRESS).get(quiet, {}).get("next") == 500,
        )


async def test_what_is_said_is_stored_while_an_index_is_built() -> None:
    """Where history has years, one that was dropped takes long to build; it is missing to readers only."""

    class Building(ModelStore):
        async def create_index(self, collection: str, keys: Any) -> None:
            await asyncio.Event().wait()

    readers: list[Reader] = []

    def new_reader(*arguments: Any) -> Reader:
        readers.append(Reader(*arguments))
        return readers[-1]

    settings, store = PersisterSettings(log_dir="", flush_after_ms=1), Building()
    pipeline = Pipeline(settings, store, Writer(), Outage(0.0), new_reader=new_reader)  # type: ignore[arg-type]
    async with in_background(pipeline.run()):
        await eventually("it is committed", lambda: readers[-1].committed == [{TP: 1}])


def age() -> float | None:
    return REGISTRY.get_sample_value("chat_persister_unstored_age_seconds")


async def test_before_a_record_is_read_what_is_not_stored_is_as_old_as_the_outage() -> None:
    now = 0.0
    store: Any = ModelStore()
    store.away = 10**9
    outage = Outage(0.0, clock=lambda: now)
    Pipeline(PersisterSettings(log_dir=""), store, Writer(), outage, new_reader=Reader)  # type: ignore[arg-type]
    assert age() == 0
    waiting = asyncio.create_task(outage.retry("indexes", partial(store.upsert, documents.PROGRESS, [])))
    await eventually("it waits for the store", lambda: outage.fault() is not None)
    now = 100.0
    assert age() == 100
    store.away = 0
    await waiting
    assert age() == 0, "a member that has nothing to store lacks nothing"


async def test_who_waits_for_kafka_stores_nothing_from_its_start_on(monkeypatch: pytest.MonkeyPatch) -> None:
    [nobody_listens] = free_ports(1)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{nobody_listens}")
    settings = PersisterSettings(log_dir="", ops_port=0)
    service = Service("persister", settings)
    async with in_background(start(service, settings)):
        await eventually("it waits", lambda: "waiting for" in service.health.faults(readiness=True))
        age_then = age()
        assert age_then is not None
        await eventually("it has waited longer", lambda: (age() or 0) > age_then > 0)
    await service.resources.aclose()


async def test_who_is_cut_off_from_the_log_may_lack_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "WATCH_EVERY_S", 0.0)
    now = 0.0
    readers: list[Reader] = []

    def new_reader(*arguments: Any) -> Reader:
        readers.append(Reader(*arguments))
        readers[-1].said = False
        return readers[-1]

    async def looked() -> None:
        before = readers[-1].looks
        await eventually("it has looked", lambda: readers[-1].looks >= before + 2)

    store: Any = ModelStore()
    settings = PersisterSettings(log_dir="")
    pipeline = Pipeline(settings, store, Writer(), Outage(0.0), lambda: now, new_reader)  # type: ignore[arg-type]
    assert age() == 0
    now = steps.CUT_OFF_AFTER_S
    assert age() == 0, "a rebalance takes a moment"
    now = 100.0
    assert age() == 100, "it never had a part in the group"
    async with in_background(pipeline.run()):
        await eventually("it runs", lambda: len(readers) == 2)
        await looked()
        assert age() == 0
        for in_group, starts, ends in (
            (False, {TP: 0}, {TP: (0, 0)}),
            (True, {TP: 0, QUIET: 0}, {TP: (0, 0)}),
        ):
            readers[-1].in_group, readers[-1].starts, readers[-1].ends = in_group, starts, ends
            await looked()
            now += 50
            await looked()
            assert age() == 50
            readers[-1].in_group, readers[-1].starts, readers[-1].ends = True, {}, {}
            await looked()
            assert age() == 0, "who was given no partitions lacks nothing"

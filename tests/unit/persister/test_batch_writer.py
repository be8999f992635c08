"""Writing: whatever the log holds, however it is cut, repeated or delayed, the store ends the same."""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from persister.batch import Batch, Limits
from persister.batch_writer import BatchWriter
from persister.outage import NoLongerOursError, Outage
from persister.read_records import Fold, NewMessage, Poison, read
from runtime.mongo import StoreUnavailable
from schemas import documents, topics
from tests.records import consumed
from tests.unit.persister import records as make
from tests.unit.persister.model_store import ModelStore
from tests.unit.persister.records import batch_of, logs


class Letters:
    """Takes dead letters, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.taken: list[Poison] = []
        self._error = error

    async def write(self, poison: list[Poison]) -> None:
        if self._error:
            raise self._error
        self.taken += poison


def writer_for(store: ModelStore, letters: Letters) -> BatchWriter:
    return BatchWriter(store, letters, Outage(longest_pause_s=0.0))  # type: ignore[arg-type]


def always() -> bool:
    return True


def expected(log: list[ConsumerRecord]) -> dict[str, dict[str, Any]]:
    """Say, record by record and naively, what the store must hold in the end."""
    found: dict[str, dict[str, Any]] = {}
    for one in map(read, log):
        if isinstance(one, NewMessage):
            key = one.document["_id"]
            found.setdefault(documents.MESSAGES, {}).setdefault(key, dict(one.document))
        elif isinstance(one, Fold):
            document = found.setdefault(one.collection, {}).setdefault(one.key, {"_id": one.key})
            if one.values is None:
                document.pop("group", None)
                document.pop("up", None)
            document.update(one.values or {}, **{one.guard: one.source.offset})
    return found


def cut(log: list[ConsumerRecord], sizes: list[int]) -> list[list[ConsumerRecord]]:
    parts, rest = [], log
    for size in sizes:
        parts.append(rest[:size])
        rest = rest[size:]
    return [*parts, rest]


@given(logs(), st.lists(st.integers(0, 9), max_size=6))
async def test_the_store_ends_as_the_log_says_however_it_is_cut(
    log: list[ConsumerRecord], sizes: list[int]
) -> None:
    store, letters = ModelStore(), Letters()
    for part in cut(log, sizes):
        await writer_for(store, letters).write(batch_of(part), always)
    assert {name: found for name, found in store.collections.items() if found} == expected(log)
    assert letters.taken == [one for one in map(read, log) if isinstance(one, Poison)]


@given(logs(), st.data())
async def test_batches_written_again_late_and_in_any_order_change_nothing(
    log: list[ConsumerRecord], data: st.DataObject
) -> None:
    store, letters = ModelStore(), Letters()
    parts = cut(log, data.draw(st.lists(st.integers(0, 9), max_size=6)))
    for n in range(len(parts)):
        await writer_for(store, letters).write(batch_of(parts[n]), always)
        for late in data.draw(st.lists(st.sampled_from(parts[: n + 1]), max_size=2)):
            await writer_for(store, letters).write(batch_of(late), always)
    assert {name: found for name, found in store.collections.items() if found} == expected(log)


@given(logs(), st.integers(0, 12))
async def test_a_store_that_is_away_for_a_while_ends_the_same(log: list[ConsumerRecord], away: int) -> None:
    store, letters = ModelStore(), Letters()
    store.away = away
    await writer_for(store, letters).write(batch_of(log), always)
    assert {name: found for name, found in store.collections.items() if found} == expected(log)


@given(logs(), st.data())
async def test_what_the_store_refuses_goes_to_the_dead_letters_and_the_rest_is_stored(
    log: list[ConsumerRecord], data: st.DataObject
) -> None:
    store, letters = ModelStore(), Letters()
    batch = batch_of(log)
    keys = sorted({*batch.messages, *(key for _, key, _ in batch.folds)})
    store.refused = set(data.draw(st.lists(st.sampled_from(keys), unique=True))) if keys else set()
    messages = {key for key in batch.messages if key not in store.refused}
    refused = [key for key in batch.messages if key in store.refused]
    refused += [key for _, key, _ in batch.folds if key in store.refused]
    poison = len(batch.poison)
    await writer_for(store, letters).write(batch, always)
    assert set(store.documents(documents.MESSAGES)) == messages
    assert len(letters.taken) == poison + len(refused)
    assert all("not liked" in letter.reason for letter in letters.taken[poison:])


class Forgetful(ModelStore):
    """Of what it writes it loses so many answers."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self._lost = lost

    async def insert_new(self, collection: str, documents: Sequence[Mapping[str, Any]]) -> int:
        known = await super().insert_new(collection, documents)
        if self._lost:
            self._lost -= 1
            raise StoreUnavailable("lost")
        return known


def counted() -> tuple[float, float]:
    """Say how many messages were counted as stored, and how many as already stored."""
    stored = REGISTRY.get_sample_value("chat_persister_stored_total", {"topic": topics.MESSAGES})
    return stored or 0.0, REGISTRY.get_sample_value("chat_persister_already_stored_total") or 0.0


some = st.sets(st.integers(0, 9))


@given(sent=some, known=some, refused=some, lost=st.integers(0, 3))
async def test_a_message_counts_as_stored_already_where_the_first_try_finds_it(
    sent: set[int], known: set[int], refused: set[int], lost: int
) -> None:
    said = {n: consumed(topics.MESSAGES, make.message(id=f"m{n}"), offset=n) for n in range(10)}
    store = Forgetful(lost)
    await ModelStore.insert_new(
        store, documents.MESSAGES, [{"_id": key} for key in batch_of([said[n] for n in known]).messages]
    )
    store.refused = set(batch_of([said[n] for n in refused]).messages)
    before = counted()
    await writer_for(store, Letters()).write(batch_of([said[n] for n in sorted(sent)]), always)
    stored, already = (now - then for now, then in zip(counted(), before, strict=True))
    taken = sent - refused
    found = len(taken & known) if not lost or sent & refused else 0
    assert (stored, already) == (len(taken) - found, found)


async def test_what_the_store_had_and_refuses_later_lets_no_counter_go_back() -> None:
    """A rule that is made stricter: the first try finds one and refuses the other, later ones refuse both."""

    class Filling(ModelStore):
        async def insert_new(self, collection: str, documents: Sequence[Mapping[str, Any]]) -> int:
            try:
                return await super().insert_new(collection, documents)
            finally:
                self.refused = {str(document["_id"]) for document in documents}

    sent = batch_of([consumed(topics.MESSAGES, make.message(id=f"m{n}"), offset=n) for n in range(2)])
    had, other = sent.messages
    store, letters = Filling(), Letters()
    store.documents(documents.MESSAGES)[had] = {"_id": had}
    store.refused = {other}
    before, _ = counted()
    await writer_for(store, letters).write(sent, always)
    assert len(letters.taken) == 2
    assert counted()[0] == before


@pytest.mark.parametrize(("away", "writes"), [(0, 1), (10, 20)])
async def test_a_batch_is_one_write_and_few_writes_once_a_store_that_was_away_is_back(
    away: int, writes: int
) -> None:
    store = ModelStore()
    store.away = away
    sent = [consumed(topics.MESSAGES, make.message(id=f"m{n}"), offset=n) for n in range(1_000)]
    await writer_for(store, Letters()).write(batch_of(sent), always)
    assert store.calls == away + writes


async def test_a_write_that_is_no_longer_ours_ends_when_it_fails() -> None:
    store, letters = ModelStore(), Letters()
    store.away = 10**9
    with pytest.raises(NoLongerOursError):
        await writer_for(store, letters).write(
            batch_of([consumed(topics.MESSAGES, make.message())]), lambda: store.calls < 5
        )
    assert store.calls == 5


async def test_a_batch_is_not_written_while_its_dead_letters_are_not() -> None:
    poison = consumed(topics.MESSAGES, make.message()._replace(value=b"{"))
    with pytest.raises(KafkaError):
        await writer_for(ModelStore(), Letters(KafkaError())).write(batch_of([poison]), always)


async def test_an_empty_batch_asks_nothing_of_the_store() -> None:
    store = ModelStore()
    await writer_for(store, Letters()).write(Batch(Limits(1, 1, 1), 0), always)
    assert store.calls == 0


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO], ids=["debug", "info"])
async def test_a_message_that_is_stored_is_named_in_the_log_when_asked_for(
    caplog: pytest.LogCaptureFixture, level: int
) -> None:
    caplog.set_level(level)
    sent = [consumed(topics.MESSAGES, make.message(id=f"m{n}"), offset=n) for n in range(2)]
    await writer_for(ModelStore(), Letters()).write(batch_of(sent), always)
    named = [record.facts for record in caplog.records]  # type: ignore[attr-defined]
    stored = [one.document for one in map(read, sent) if isinstance(one, NewMessage)]
    expected = [{"message": document["_id"], "seq": document["seq"]} for document in stored]
    assert named == (expected if level == logging.DEBUG else [])


async def test_traces_are_told_what_is_stored_and_not_what_is_set_aside() -> None:
    told: list[ConsumerRecord] = []

    def processed(records: list[ConsumerRecord], since_ns: int) -> None:
        assert 0 < since_ns <= time.time_ns()
        told.extend(records)

    store, letters = ModelStore(), Letters()
    store.refused = {"g1/up201900001/m1", "g2"}
    log = [
        consumed(topics.MESSAGES, make.message(id="m0"), offset=0),
        consumed(topics.MESSAGES, make.message(id="m1"), offset=1),
        consumed(topics.GROUPS, make.group(id="g1"), offset=2),
        consumed(topics.GROUPS, make.group(id="g2"), offset=3),
    ]
    writer = BatchWriter(store, letters, Outage(longest_pause_s=0.0), processed)  # type: ignore[arg-type]
    await writer.write(batch_of(log), always)
    assert told == [log[0], log[2]]
    assert [letter.source for letter in letters.taken] == [log[1], log[3]]


@given(logs(), st.integers(1, 3), st.sets(st.integers(0, 9)))
async def test_a_batch_that_a_slow_store_does_not_take_in_time_is_written_in_pieces(
    log: list[ConsumerRecord], in_time: int, refused: set[int]
) -> None:
    store, letters, tries = ModelStore(), Letters(), iter(range(100))
    keys = [one.document["_id"] for one in map(read, log) if isinstance(one, NewMessage)]
    store.in_time, store.refused = in_time, {key for n, key in enumerate(keys) if n in refused}
    await writer_for(store, letters).write(batch_of(log), lambda: next(tries, None) is not None)
    written = expected(
        [one for one in log if getattr(read(one), "document", {}).get("_id") not in store.refused]
    )
    assert {name: found for name, found in store.collections.items() if found} == written

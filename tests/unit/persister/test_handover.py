"""The handover: batches of the right size, in order, and nothing of an epoch that is over."""

import asyncio

from aiokafka import ConsumerRecord, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from persister.batch import Batch, Limits
from persister.handover import Handover
from runtime import metrics
from schemas import topics
from schemas.log_records import Encoded
from tests.counting import counting
from tests.records import consumed
from tests.unit.persister import records as make
from tests.waiting import passes

TP = TopicPartition(topics.MESSAGES, 0)


def log_of(count: int, first: int = 0) -> list[ConsumerRecord]:
    return [
        consumed(topics.MESSAGES, make.message(id=f"m{n}"), offset=n) for n in range(first, first + count)
    ]


def handover(records: int = 3, age_s: float = 0.0) -> Handover:
    return Handover(Limits(records, 10**9, age_s), clock=lambda: 0.0)


def ids(batch: Batch) -> list[str]:
    return [message.document["id"] for message in batch.messages.values()]


@given(st.integers(0, 20), st.integers(1, 7))
async def test_records_leave_in_order_and_no_batch_is_over_its_limit(count: int, limit: int) -> None:
    between = handover(limit)
    adding = asyncio.create_task(between.add(0, TP, log_of(count)))
    found: list[str] = []
    while len(found) < count:
        batch = await between.take()
        assert 1 <= batch.records <= limit
        found += ids(batch)
    await adding
    assert found == [f"m{n}" for n in range(count)]


async def test_a_full_batch_makes_the_reader_wait() -> None:
    between = handover(3)
    adding = asyncio.create_task(between.add(0, TP, log_of(5)))
    waiting = asyncio.create_task(between.wait_while_full())
    await passes()
    assert not adding.done()
    assert between.open.records == 3
    assert ids(await between.take()) == ["m0", "m1", "m2"]
    await adding
    assert await waiting >= 1


async def test_a_batch_that_is_not_full_waits_until_it_is_due() -> None:
    now = 0.0
    between = Handover(Limits(3, 10**9, 3600.0), clock=lambda: now)
    await between.add(0, TP, log_of(2))
    taking = asyncio.create_task(between.take())
    await passes()
    assert not taking.done()
    await between.add(0, TP, log_of(1, first=2))
    assert ids(await taking) == ["m0", "m1", "m2"]
    await between.add(0, TP, log_of(1, first=3))
    now = 3600.0
    assert ids(await between.take()) == ["m3"]


async def test_after_a_full_batch_nobody_takes_the_next_one_for_full() -> None:
    between = handover(3, age_s=3600.0)
    await between.add(0, TP, log_of(3))
    assert ids(await between.take()) == ["m0", "m1", "m2"]
    await between.add(0, TP, log_of(1, first=3))
    assert not between._full.is_set(), "whoever waits for that would go round without end"


async def test_records_of_an_epoch_that_is_over_are_dropped() -> None:
    between = handover(10)
    await between.add(0, TP, log_of(2))
    between.open_next(1)
    await between.add(0, TP, log_of(3, first=2))
    await between.add(1, TP, log_of(1, first=7))
    batch = await between.take()
    assert (batch.epoch, ids(batch), batch.ends) == (1, ["m7"], {TP: 8})


async def test_what_is_dropped_while_the_writer_is_being_woken_leaves_no_batch_of_nothing() -> None:
    """Its ends, none, would be progress that the driver refuses to write, for ever."""
    between = handover(10)
    taking = asyncio.create_task(between.take())
    await asyncio.sleep(0)
    await between.add(0, TP, log_of(2))
    between.open_next(1)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not taking.done()
    await between.add(1, TP, log_of(1, first=7))
    batch = await taking
    assert (batch.epoch, ids(batch), batch.ends) == (1, ["m7"], {TP: 8})


async def test_a_bad_record_that_is_read_again_is_counted_once() -> None:
    """One whose letter cannot be written is read again every few seconds."""
    bad, between = counting(metrics.BAD_RECORDS.labels(topic=topics.MESSAGES)), handover(10)
    unreadable = Encoded(b"g1", b"?", [])
    for epoch in range(3):
        between.open_next(epoch)
        both = [consumed(topics.MESSAGES, unreadable, offset=n) for n in (4, 5)]
        await between.add(epoch, TP, both + log_of(1, first=6))
    assert bad() == 2


async def test_a_reader_that_waited_drops_the_rest_when_the_epoch_ends() -> None:
    between = handover(2)
    adding = asyncio.create_task(between.add(0, TP, log_of(5)))
    await passes()
    between.open_next(1)
    await adding
    assert between.open.records == 0
